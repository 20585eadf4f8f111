from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.spec.study_spec import StudySpec
from tests.helpers.specs import problems, tiny_spec, written
from tests.helpers.studies import opened

RANGES: dict[str, Any] = {
    "temperature": {"low": 0.01, "high": 1.0, "log": True},
    "optimizer.learning_rate": {"low": 2e-3, "high": 2e-2, "log": True},
}

MIXED: dict[str, Any] = {
    **RANGES,
    "adversary": ["none", "fgsm"],
    "epsilon_db": {"low": -80, "high": -30, "when": {"adversary": ["fgsm"]}},
}

KINDS = ("random", "tpe", "gp", "cmaes", "qmc")


def proposals(folder: Path, spec: StudySpec, runs: tuple[int, ...]) -> list[dict[str, Any]]:
    """Proposals of a study whose driver restarts after each run. Temperature 0.1 is best."""
    found = []
    for count in runs:
        with opened(folder, spec) as dispatcher:
            for _ in range(count):
                assignment = dispatcher.ask()
                assert assignment is not None
                found.append(dict(assignment.sample))
                temperature = assignment.sample["temperature"]
                assert isinstance(temperature, float)
                dispatcher.tell(assignment.number, "complete", {"dev_map": -abs(temperature - 0.1)})
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_proposals_are_valid_and_differ_after_a_resume(tmp_path: Path, kind: str) -> None:
    spec = tiny_spec(space=MIXED, sampler={"kind": kind, "trials": 12})
    found = proposals(tmp_path, spec, (5, 4, 3))
    assert read_study(StudyFolder(tmp_path)).finished
    assert len({(point["temperature"], point["optimizer.learning_rate"]) for point in found}) == 12
    for point in found:
        assert 0.01 <= point["temperature"] <= 1.0
        assert ("epsilon_db" in point) == (point["adversary"] == "fgsm")


def test_a_sobol_sequence_resumes_at_its_position(tmp_path: Path) -> None:
    spec = tiny_spec(space=RANGES, sampler={"kind": "qmc", "trials": 8})
    assert proposals(tmp_path / "resumed", spec, (3, 5)) == proposals(
        tmp_path / "whole", spec, (8,)
    )


@pytest.mark.parametrize("kind", ["gp", "tpe"])
def test_a_model_beats_its_random_start(tmp_path: Path, kind: str) -> None:
    """Over four studies: the random start of one may be lucky."""
    first = last = 0.0
    for seed in range(4):
        spec = tiny_spec(
            space=RANGES,
            seeds=(seed,),
            sampler={"kind": kind, "trials": 24, "startup_trials": 8},
        )
        found = proposals(tmp_path / str(seed), spec, (24,))
        errors = [abs(point["temperature"] - 0.1) for point in found]
        first, last = first + sum(errors[:8]), last + sum(errors[-8:])
    assert last < first


def test_hyperband_deals_brackets_up_to_the_longest_trial() -> None:
    spec = tiny_spec(
        objective={"metric": "dev_accuracy"}, pruner={"kind": "hyperband", "first_rung": 10}
    )
    pruner = spec.pruner.build(spec.longest)
    assert isinstance(pruner, optuna.pruners.HyperbandPruner)
    assert (pruner._min_resource, pruner._max_resource, pruner._reduction_factor) == (10, 30, 3)


def test_hyperband_stops_trials_that_are_behind(tmp_path: Path) -> None:
    spec = tiny_spec(
        space={"temperature": [0.01 * index for index in range(1, 31)]},
        objective={"metric": "dev_accuracy"},
        pruner={"kind": "hyperband", "first_rung": 10, "reduction": 2},
    )
    stopped = 0
    with opened(tmp_path, spec) as dispatcher:
        for rank in range(30):
            assignment = dispatcher.ask()
            assert assignment is not None
            for step in (10, 20, 30):
                dispatcher.report(assignment.number, step, {"dev_accuracy": 1 - rank / 100})
                if dispatcher.should_prune(assignment.number):
                    stopped += 1
                    dispatcher.tell(assignment.number, "pruned", {})
                    break
            else:
                dispatcher.tell(assignment.number, "complete", {"dev_accuracy": 1 - rank / 100})
    assert 10 < stopped < 30


def test_samplers_for_ranges_are_refused_without_them(tmp_path: Path) -> None:
    text = "name: a\nspace:\n  negatives: [cross, local]\nsampler:\n  kind: {kind}\n  trials: 4\n"
    assert problems(tmp_path, text.replace("{kind}", "cmaes")) == [
        "my.yaml:5: sampler cmaes works on 2 or more ranges without a condition, and the space has "
        "none: give knobs as ranges, or set sampler.kind to tpe"
    ]
    assert len(problems(tmp_path, text.replace("{kind}", "qmc"))) == 1
    misspelt = text.replace("{kind}", "qmc").replace("trials", "trails")
    assert [problem.partition(": ")[0] for problem in problems(tmp_path, misspelt)] == [
        "my.yaml:4",
        "my.yaml:5",
        "my.yaml:6",
    ]
    assert StudySpec.load(written(tmp_path, text.replace("{kind}", "gp"))).sampler.kind == "gp"


def test_only_wilcoxon_judges_a_metric_of_the_end(
    tmp_path: Path,
) -> None:
    text = "name: a\npruner: {kind: wilcoxon}\n"
    assert StudySpec.load(written(tmp_path, text)).objectives[0].metric == "dev_map"
    (problem,) = problems(tmp_path, "name: a\npruner: {kind: hyperband, first_rung: 10}\n")
    assert "pruner hyperband judges a trial before its end" in problem
