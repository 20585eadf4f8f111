from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from dashboards.figures import ranking
from dashboards.figures.ranking import RankingInfo
from study.analysis.answer import answer_info
from study.analysis.cells import group_cells, pareto_front
from study.analysis.export import score_row
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.results.records import Direction, StudyRecord
from study.spec.objectives import ObjectiveSpec
from study.spec.study_spec import StudySpec
from tests.helpers import records
from tests.helpers.specs import TINY_BASE, problems, tiny_spec, written
from tests.helpers.studies import locked, opened

BOTH: list[dict[str, Any]] = [
    {"metric": "dev_map"},
    {"metric": "dev_loss", "direction": "minimize"},
]

RANGES: dict[str, Any] = {
    "temperature": {"low": 0.0, "high": 1.0},
    "optimizer.learning_rate": {"low": 2e-3, "high": 2e-2},
}

TWO = (ObjectiveSpec(metric="dev_map"), ObjectiveSpec(metric="dev_loss", direction="minimize"))


def record_of(
    values: dict[str, list[tuple[float, float]]], objectives: tuple[ObjectiveSpec, ...] = TWO
) -> StudyRecord:
    """A study of cells with a (dev_map, dev_loss) for each seed."""
    trials = [
        records.trial(0, {"similarity": name}, seed, metrics={"dev_map": score, "dev_loss": loss})
        for name, seeds in values.items()
        for seed, (score, loss) in enumerate(seeds)
    ]
    return records.study(trials, objectives=objectives)


def test_one_objective_is_written_and_hashed_as_ever() -> None:
    later = "initialisation", "compute"
    base = {name: section for name, section in TINY_BASE.items() if name not in later}
    spec = tiny_spec(objective={"metric": "dev_accuracy"}, base=base)
    assert spec.objectives == (ObjectiveSpec(metric="dev_accuracy"),)
    assert "objective:\n  metric: dev_accuracy\n  direction: maximize\n" in spec.to_yaml()
    assert spec.hash == "56428b7d1658"
    assert spec.hash != tiny_spec(objective=BOTH).hash != tiny_spec(objective=BOTH[::-1]).hash


def test_several_objectives_survive_being_written(tmp_path: Path) -> None:
    spec = tiny_spec(objective=BOTH)
    assert StudySpec.load(written(tmp_path, spec.to_yaml())).objectives == TWO


def test_wrong_objectives_are_named_by_their_line(tmp_path: Path) -> None:
    text = (
        "name: a\nobjective:\n  - metric: dev_mapp\n  - metric: dev_loss\n    directoin: minimize\n"
    )
    assert problems(tmp_path, text) == [
        "my.yaml:3: objective.0.metric: input should be 'dev_map', 'dev_probe_accuracy', "
        "'dev_accuracy', 'dev_ranking_accuracy' or 'dev_loss', not 'dev_mapp'",
        "my.yaml:5: 'objective.1.directoin' is not a setting; did you mean 'direction'?",
    ]
    assert problems(tmp_path, "name: a\nobjective: [{metric: dev_map}]\n") == [
        "my.yaml:2: objective: a list needs two or more objectives: write a single one "
        "without the list"
    ]
    (problem,) = problems(tmp_path, "name: a\nobjective: [{metric: dev_map}, {metric: dev_map}]\n")
    assert problem == "my.yaml:2: objective: a metric is listed twice: ['dev_map', 'dev_map']"


@pytest.mark.parametrize(
    "pruner",
    [
        "{kind: asha, first_rung: 10}",
        "{kind: median}",
        "{kind: wilcoxon}",
        "{kind: hyperband, first_rung: 3}",
    ],
)
def test_no_pruner_judges_several_objectives(tmp_path: Path, pruner: str) -> None:
    objective = "[{metric: dev_accuracy}, {metric: dev_loss, direction: minimize}]"
    text = f"name: a\nobjective: {objective}\npruner: {pruner}\n"
    (problem,) = problems(tmp_path, text)
    assert problem.startswith("my.yaml:3: pruner: pruner ")
    assert problem.endswith(
        "judges by one objective, and the study has several: give one, or set pruner.kind to none"
    )


def test_a_sampler_of_one_objective_is_refused(tmp_path: Path) -> None:
    space = (
        "space:\n  temperature: {low: 0.1, high: 1}\n"
        "  optimizer.learning_rate: {low: 2.0e-3, high: 2.0e-2}\n"
    )
    objective = "objective: [{metric: dev_map}, {metric: dev_loss, direction: minimize}]\n"
    (problem,) = problems(
        tmp_path, f"name: a\n{space}{objective}sampler: {{kind: cmaes, trials: 4}}\n"
    )
    assert problem == (
        "my.yaml:6: sampler: sampler cmaes works towards one objective, and the study has several: "
        "give one, or set sampler.kind to tpe"
    )


@pytest.mark.parametrize("kind", ["random", "tpe", "gp", "qmc"])
def test_searches_towards_several_objectives(tmp_path: Path, kind: str) -> None:
    startup = {"startup_trials": 4} if kind in ("tpe", "gp") else {}
    spec = tiny_spec(
        space=RANGES, objective=BOTH, sampler={"kind": kind, "trials": 8, **startup}, seeds=[0, 1]
    )
    with opened(tmp_path, spec) as dispatcher:
        while (assignment := dispatcher.ask()) is not None:
            x, rate = (
                float(assignment.sample["temperature"] or 0),
                float(assignment.sample["optimizer.learning_rate"] or 0),
            )
            metrics = {"dev_map": x, "dev_loss": x * x + 100 * rate}
            dispatcher.report(assignment.number, 10, metrics)
            assert not dispatcher.should_prune(assignment.number)
            dispatcher.tell(assignment.number, "complete", metrics)
    with closing(locked(tmp_path)) as storage:
        study = optuna.load_study(study_name=storage.name, storage=storage.open())
        trials, best = study.trials, {trial.number for trial in study.best_trials}
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert len(trials) == 16
    assert all(
        trial.state == TrialState.COMPLETE
        and len(trial.values) == 2
        and len(trial.intermediate_values) == 1
        for trial in trials
    )
    record = read_study(StudyFolder(tmp_path))
    assert (record.metric, record.direction, record.objectives) == ("dev_map", "maximize", TWO)
    assert {number for cell in pareto_front(record) for number in cell.trials} >= best


def test_a_trial_that_lacks_an_objective_is_not_complete(tmp_path: Path) -> None:
    with opened(tmp_path, tiny_spec(objective=BOTH)) as dispatcher:
        for metrics in ({"dev_map": 0.5}, {"dev_map": 0.5, "dev_loss": float("nan")}):
            assignment = dispatcher.ask()
            assert assignment is not None
            dispatcher.tell(assignment.number, "complete", metrics)
    reasons = [trial.reason for trial in read_study(StudyFolder(tmp_path)).trials]
    assert reasons == [
        f"the final report gives no finite dev_loss, but {value}" for value in ("None", "nan")
    ]


def test_the_front_holds_what_nothing_beats_in_every_objective() -> None:
    record = record_of(
        {
            "dot": [(0.5, 2.0)],
            "cosine": [(0.4, 1.0), (0.44, 1.2)],
            "nonlinear_cosine": [(0.41, 1.1)],
            "worse": [(0.3, 1.5)],
            "equal": [(0.5, 2.0)],
        }
    )
    assert [cell.knobs["similarity"] for cell in pareto_front(record)] == ["dot", "equal", "cosine"]
    assert pareto_front(record_of({"dot": [(0.5, 2.0)]}, TWO[:1])) == ()
    assert pareto_front(record_of({})) == ()


@pytest.mark.parametrize(
    "directions", [("maximize", "minimize"), ("minimize", "maximize"), ("maximize", "maximize")]
)
def test_the_front_is_optunas(directions: tuple[Direction, Direction]) -> None:
    noise = random.Random(3)
    objectives = tuple(
        ObjectiveSpec(metric=each.metric, direction=direction)
        for each, direction in zip(TWO, directions, strict=True)
    )
    values = {
        f"cell{index}": [(round(noise.random(), 1), round(noise.random(), 1))]
        for index in range(60)
    }
    study = optuna.create_study(directions=list(directions))
    for ((score, loss),) in values.values():
        study.add_trial(optuna.trial.create_trial(values=[score, loss]))
    ours = {cell.knobs["similarity"] for cell in pareto_front(record_of(values, objectives))}
    assert ours == {f"cell{trial.number}" for trial in study.best_trials}


def test_rows_answer_and_page_speak_of_the_front() -> None:
    record = record_of(
        {
            "dot": [(0.5, 2.0), (0.52, 2.2), (0.54, 2.1)],
            "cosine": [(0.4, 1.0)],
            "worse": [(0.3, 1.5)],
        }
    )
    row = score_row(record, group_cells(record)[0])
    assert (row["dev_map"], row["dev_loss"], row["seeds"]) == (
        pytest.approx(0.52),
        pytest.approx(2.1),
        3,
    )
    assert row["dev_loss_low"] < 2.1 < row["dev_loss_high"]
    assert (
        "On the Pareto front of dev mAP and dev loss: 2 settings that no other beats in each of "
        "them." in answer_info(record).detail
    )
    info = ranking.FIGURE.info(record)
    assert isinstance(info, RankingInfo)
    assert len(info.front) == 2
    assert info.objectives == ("dev_map", "dev_loss")
    assert record.direction_of("dev_loss") == "minimize"
