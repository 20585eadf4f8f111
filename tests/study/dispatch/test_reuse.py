"""Which trials are taken over, and what is left of them in the study that does."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cpc_core.config import trajectory
from cpc_core.errors import CheckpointError, ConfigError
from cpc_core.evaluation.clip_scores import ClipScores
from cpc_core.report import Outcome, Report
from cpc_core.storage_path import StoragePath
from study.dispatch.dispatcher import Dispatcher
from study.dispatch.reuse import ReuseForecast, TrialReuse, earlier_looks, forecast_reuse
from study.dispatch.trial_spec import TrialSpec
from study.folders.provenance import attempts
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import Origin, TrialFolder
from study.results.reader import read_study
from study.results.records import TrialRecord
from study.spec.budget import Budget
from study.spec.study_spec import StudySpec
from tests.helpers.specs import TINY_BASE, tiny_spec

CORPUS = "c" * 64


def spec(steps: int = 30, *, decay: int | None = 20, every: int = 10, **changes: Any) -> StudySpec:
    """One trial, whose schedule has a length of its own."""
    base = {
        **TINY_BASE,
        "optimizer": {**TINY_BASE["optimizer"], "decay_steps": decay},
        "training": {**TINY_BASE["training"], "steps": steps, "report_every": every},
    }
    return tiny_spec(**{"base": base, "space": {}, **changes})


def opened(folder: Path, wanted: StudySpec, corpus: str = CORPUS) -> Dispatcher:
    return Dispatcher.create_or_open(StudyFolder(folder), wanted, corpus, "sample (3 clips)")


def pretend(
    folder: TrialFolder, *steps: int, outcome: Outcome = "running", saved: bool = True
) -> None:
    """The log and checkpoints that training up to the last of `steps` leaves."""
    for step in steps:
        last = outcome if step == steps[-1] else "running"
        metrics = {"dev_accuracy": step / 100, "clips_per_s": 5.0}
        if last == "complete":
            metrics |= {
                "dev_map": 0.5,
                "dev_probe_accuracy": 0.6,
                "dev_probe_balanced_accuracy": 0.7,
            }
        folder.append(
            Report(step, metrics, last, "it fell apart" if last == "diverged" else "", step * 1.0)
        )
        if saved and last != "diverged":
            folder.save_checkpoint(step, partial(_state, step))


def _state(step: int, target: Path) -> None:
    (target / "state.pt").write_text(f"weights after {step}")
    (target / "config.json").write_text("the source's")


def trained(
    folder: Path, wanted: StudySpec, *steps: int, outcome: Outcome = "complete"
) -> TrialSpec:
    """A study whose only trial was trained up to the last of `steps`, recorded where that was an
    ending.
    """
    store = opened(folder, wanted)
    try:
        assignment = store.ask()
        assert assignment is not None
        trial = store.trial_folder(assignment.number)
        pretend(trial, *steps, outcome=outcome)
        if outcome in ("complete", "diverged"):
            store.tell(
                assignment.number,
                "complete" if outcome == "complete" else "diverged",
                trial.log()[-1].metrics,
            )
        return assignment
    finally:
        store.close()


def asked(
    folder: Path, wanted: StudySpec, corpus: str = CORPUS
) -> tuple[TrialSpec | None, TrialRecord]:
    """The trial left to train in a new study, and the record of its only trial."""
    store = opened(folder, wanted, corpus)
    try:
        assignment = store.ask()
    finally:
        store.close()
    return assignment, read_study(StudyFolder(folder)).trials[0]


def test_trial_of_another_study_is_not_trained_again(tmp_path: Path) -> None:
    first = trained(tmp_path / "first", spec(name="first"), 10, 20, 30)
    assignment, record = asked(tmp_path / "second", spec(name="second"))
    assert assignment is None
    assert (record.outcome, record.reason) == ("complete", "trained as trial 0 of study first")
    source = read_study(StudyFolder(tmp_path / "first")).trials[0]
    assert (record.trial_id, record.metrics) == (first.trial_id, source.metrics)
    # The time that it took is the other study's.
    assert record.history.reports == tuple(
        replace(report, elapsed_s=0.0) for report in source.history.reports
    )
    assert all(report.elapsed_s for report in source.history.reports)
    assert (record.duration_s, source.duration_s) == (0.0, 30.0)
    assert (
        tmp_path / "second/trials/t00000/checkpoint-000000030/state.pt"
    ).read_text() == "weights after 30"


def test_what_may_change_is_copied_and_weights_are_linked(tmp_path: Path) -> None:
    trained(tmp_path / "first", spec(), 10, 20, 30)
    asked(tmp_path / "second", spec())
    source, own = (tmp_path / name / "trials" / "t00000" for name in ("first", "second"))
    shared = {
        path.relative_to(own)
        for path in own.rglob("*")
        if path.is_file() and path.stat().st_nlink > 1
    }
    assert shared == {Path("checkpoint-000000030/state.pt")}
    assert (source / "checkpoint-000000030/state.pt").samefile(
        own / "checkpoint-000000030/state.pt"
    )


def test_a_divergence_is_taken_over_as_what_it_is(tmp_path: Path) -> None:
    trained(tmp_path / "first", spec(), 10, 20, outcome="diverged")
    assignment, record = asked(tmp_path / "second", spec())
    assert assignment is None
    assert (record.outcome, record.reason) == (
        "diverged",
        "it fell apart; trained as trial 0 of study first",
    )


def test_longer_training_resumes_as_if_the_shorter_had_not_ended(tmp_path: Path) -> None:
    trained(tmp_path / "first", spec(20), 10, 20)
    assignment, record = asked(tmp_path / "second", spec(40))
    assert assignment is not None
    folder = TrialFolder(tmp_path / "second", 0)
    assert [(entry.step, entry.outcome, set(entry.metrics)) for entry in folder.log()] == [
        (step, "running", {"dev_accuracy", "clips_per_s"}) for step in (10, 20)
    ]
    checkpoint = folder.checkpoint()
    assert checkpoint is not None and checkpoint.name == "checkpoint-000000020"
    assert json.loads((checkpoint / "config.json").read_text())["training"]["steps"] == 40
    assert (record.outcome, record.reason) == (
        "running",
        "continued from step 20 of trial 0 of study first",
    )


def test_an_end_between_two_reports_is_forgotten(tmp_path: Path) -> None:
    trained(tmp_path / "first", spec(25), 10, 20, 25)
    asked(tmp_path / "second", spec(40))
    folder = TrialFolder(tmp_path / "second", 0)
    assert [entry.step for entry in folder.log()] == [10, 20]
    assert folder.origin() == Origin("first", 0, 20)


def test_training_is_found_however_its_schedule_is_written(tmp_path: Path) -> None:
    trained(tmp_path / "first", spec(30, decay=None), 10, 20, 30)
    assert asked(tmp_path / "second", spec(30, decay=30))[0] is None
    assert asked(tmp_path / "longer", spec(50, decay=30))[1].reason.startswith(
        "continued from step 30 of trial 0 of study "
    )


def test_a_trial_in_training_gives_its_last_checkpoint(tmp_path: Path) -> None:
    trained(tmp_path / "first", spec(), 10, 20, outcome="running")
    assignment, record = asked(tmp_path / "second", spec())
    assert assignment is not None
    assert record.reason == "continued from step 20 of trial 0 of study first"


@pytest.mark.parametrize(
    ("wanted", "corpus"),
    [
        (spec(25, decay=None), CORPUS),
        (spec(30, every=5), CORPUS),
        (spec(seeds=[1]), CORPUS),
        (spec(), "d" * 64),
        (spec(resources={"share": False}), CORPUS),
        (spec(5, every=5), CORPUS),
    ],
    ids=[
        "another schedule",
        "other reports",
        "another seed",
        "another corpus",
        "not to be shared",
        "shorter",
    ],
)
def test_what_is_not_the_same_training_is_trained(
    tmp_path: Path, wanted: StudySpec, corpus: str
) -> None:
    trained(tmp_path / "first", spec(), 10, 20, 30)
    assignment, record = asked(tmp_path / "second", wanted, corpus)
    assert assignment is not None
    assert (record.reason, record.history.reports) == ("", ())


def test_longest_source_is_reused_and_the_first_one_named(
    tmp_path: Path,
) -> None:
    trained(tmp_path / "a", spec(10), 10)
    trained(tmp_path / "b", spec(30), 20, 30)
    assert asked(tmp_path / "c", spec(30))[1].reason == "trained as trial 0 of study b"
    shutil.rmtree(tmp_path / "b")
    assert (
        asked(tmp_path / "d", spec(40))[1].reason == "continued from step 30 of trial 0 of study b"
    )


def test_a_folder_that_was_made_again_is_what_it_is_now(tmp_path: Path) -> None:
    trained(tmp_path / "first", spec(), 10, 20, 30)
    wanted = spec().config({}, 0)
    shared, own = TrialReuse(tmp_path / "second"), tmp_path / "second"
    assert shared.find_source(trajectory(wanted, CORPUS), wanted, own) is not None
    shutil.rmtree(tmp_path / "first")
    trained(tmp_path / "first", spec(seeds=[5]), 10, 20, 30)
    assert shared.find_source(trajectory(wanted, CORPUS), wanted, own) is None


def test_longer_trial_resumes_from_the_shorter_one_of_its_study(tmp_path: Path) -> None:
    store = opened(tmp_path, spec(space={"steps": [20, 40]}))
    first = store.ask()
    assert first is not None
    pretend(store.trial_folder(0), 10, 20, outcome="complete")
    store.tell(0, "complete", store.trial_folder(0).log()[-1].metrics)
    assert store.ask() is not None
    store.close()
    assert read_study(StudyFolder(tmp_path)).trials[1].reason == "continued from step 20 of trial 0"


def test_reused_steps_are_reported_but_not_spent(tmp_path: Path) -> None:
    trained(tmp_path / "first", spec(20), 10, 20)
    limited = spec(
        40, objective={"metric": "dev_accuracy"}, budget={"steps": 15, "trials": 1}, seeds=[0, 1]
    )
    store = opened(tmp_path / "second", limited)
    assert store.ask() is not None
    assert store.trials()[0].intermediate_values == {10: 0.1, 20: 0.2}
    assert store.spec.budget == Budget(steps=15, trials=1)
    assert store.budget_spent == "its budget of 1 trials is spent"
    pretend(store.trial_folder(0), 30)
    store.spec = limited.model_copy(update={"budget": Budget(steps=15)})
    spent = [store.budget_spent]
    pretend(store.trial_folder(0), 40)
    spent.append(store.budget_spent)
    store.close()
    assert spent == [None, "its budget of 15 optimizer steps is spent"]
    assert read_study(StudyFolder(tmp_path / "second")).budget_spent is not None


def test_a_trial_taken_over_whole_costs_nothing(tmp_path: Path) -> None:
    trained(tmp_path / "first", spec(30), 10, 20, 30)
    store = opened(tmp_path / "second", spec(30, budget={"trials": 1}, seeds=[0, 1]))
    assignment = store.ask()
    store.close()
    assert assignment is not None and assignment.seed == 1


def test_a_plan_counts_what_the_studies_beside_it_have_trained(tmp_path: Path) -> None:
    trained(tmp_path / "first", spec(20), 10, 20)
    configs = [spec(steps).config({}, seed) for steps, seed in ((20, 0), (30, 0), (40, 0), (20, 1))]
    assert forecast_reuse(StudyFolder(tmp_path / "second"), configs, CORPUS) == ReuseForecast(
        whole=1, begun=2
    )
    assert forecast_reuse(StudyFolder(tmp_path / "second"), configs, CORPUS).words.startswith(
        "of these trials 1 taken over as trained already and 2 continued"
    )
    assert forecast_reuse(StudyFolder(tmp_path / "first"), configs, CORPUS).words == ""


def test_crash_while_steps_are_copied_leaves_no_half_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path / "first", spec(20), 10, 20)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrialFolder, "save_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            asked(tmp_path / "second", spec(40))
    record = asked(tmp_path / "second", spec(40))[1]
    assert (record.reason, len(record.history.reports)) == (
        "continued from step 20 of trial 0 of study first",
        2,
    )
    checkpoint = TrialFolder(tmp_path / "second", 0).checkpoint()
    assert checkpoint is not None and checkpoint.name == "checkpoint-000000020"


@pytest.mark.parametrize(
    ("file", "content", "step"),
    [
        ("trial.json", "", 20),
        ("trial.json", '{"of": "another version"}', 20),
        ("trial.json", None, 20),
        ("metrics.jsonl", "\0\n", 20),
        ("metrics.jsonl", None, 20),
        ("checkpoint-1.copy", "", 20),
        ("origin.json", '{"of": "another version"}', 0),
    ],
)
def test_damaged_file_of_another_study_does_not_end_this_one(
    tmp_path: Path, file: str, content: str | None, step: int
) -> None:
    trained(tmp_path / "healthy", spec(20), 10, 20)
    trained(tmp_path / "damaged", spec(40, resources={"share": False}), 20, 30, 40)
    damaged = tmp_path / "damaged/trials/t00000" / file
    damaged.unlink(missing_ok=True)
    if content is None:
        damaged.mkdir()
    else:
        damaged.write_text(content)
    assignment, record = asked(tmp_path / "own", spec(50))
    assert assignment is not None
    assert record.reason == (
        f"continued from step {step} of trial 0 of study healthy" if step else ""
    )


def test_training_from_the_start_forgets_the_source(tmp_path: Path) -> None:
    trained(tmp_path / "first", spec(20), 10, 20)
    asked(tmp_path / "second", spec(40))
    folder = TrialFolder(tmp_path / "second", 0)
    folder.rewind(20)
    assert folder.origin() is not None
    folder.rewind(-1)
    assert (folder.origin(), folder.log()) == (None, ())


@pytest.mark.parametrize("moment", range(7))
def test_start_from_scratch_keeps_no_attempt_of_a_lost_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    trained(tmp_path / "first", spec(20), 10, 20)
    source, own = TrialFolder(tmp_path / "first", 0), TrialFolder(tmp_path / "second", 0)
    (Path(source.path) / "provenance.json").write_text('{"attempts": [{"of": "the source"}]}')
    moments = iter(range(7))

    def or_killed(change: Callable[..., None]) -> Callable[..., None]:
        def changed(*arguments: object) -> None:
            if next(moments) == moment:
                raise KeyboardInterrupt
            change(*arguments)

        return changed

    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(os, "link", lambda *_: (_ for _ in ()).throw(FileNotFoundError()))
        for name in ("write_bytes", "remove"):
            patched.setattr(StoragePath, name, or_killed(vars(StoragePath)[name]))
        with pytest.raises(FileNotFoundError):
            own.copy_from(source, spec(40).config({}, 0), 20, ended=False)
        own.rewind(-1)
        assert next(moments) == moment == 6
    own.rewind(-1)
    assert (own.checkpoint(), own.log(), own.origin(), attempts(own)) == (None, (), None, [])


def test_a_start_from_scratch_keeps_the_attempts_before_it(tmp_path: Path) -> None:
    own = TrialFolder(tmp_path, 0)
    own.create(spec().config({}, 0))
    (Path(own.path) / "provenance.json").write_text('{"attempts": [{"device": "its own"}]}')
    own.rewind(-1)
    assert attempts(own) == [{"device": "its own"}]


def test_a_checkpoint_that_vanishes_meanwhile_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path / "first", spec(20), 10, 20)
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(FileNotFoundError()))
    assignment, _ = asked(tmp_path / "second", spec(40))
    folder = TrialFolder(tmp_path / "second", 0)
    assert assignment is not None
    folder.rewind(-1)
    assert (folder.checkpoint(), folder.log(), folder.origin()) == (None, (), None)


@pytest.mark.parametrize(
    ("decay", "advice"), [(20, "every trial resumes from"), (None, "name optimizer.decay_steps")]
)
def test_more_steps_in_the_same_folder_are_refused(
    tmp_path: Path, decay: int | None, advice: str
) -> None:
    trained(tmp_path, spec(30, decay=decay), 10)
    with pytest.raises(ConfigError, match=advice):
        opened(tmp_path, spec(40, decay=decay))
    with pytest.raises(ConfigError) as other:
        opened(tmp_path, spec(40, decay=decay, seeds=[8]))
    assert "checkpoint" not in str(other.value)


def test_seeds_added_beside_a_study_are_a_further_look(tmp_path: Path) -> None:
    for name, seeds in (("three", (0, 1, 2)), ("five", (0, 1, 2, 3, 4)), ("ten", tuple(range(10)))):
        opened(tmp_path / name, spec(seeds=seeds, name=name, question=name)).close()
    record = read_study(StudyFolder(tmp_path / "ten"))
    assert record.provenance["earlier_looks"] == {"five": [0, 1, 2, 3, 4], "three": [0, 1, 2]}
    assert (record.looks, record.seeds) == (3, tuple(range(10)))
    assert read_study(StudyFolder(tmp_path / "three")).looks == 1
    # A look that was recorded stays one when its folder has gone.
    shutil.rmtree(tmp_path / "three")
    more = spec(seeds=tuple(range(12)))
    assert set(earlier_looks(StudyFolder(tmp_path / "more"), more, CORPUS)) == {
        "five",
        "three",
        "ten",
    }


@pytest.mark.parametrize(
    "changes",
    [{"seeds": (0, 1)}, {"seeds": (7, 8)}, {"seeds": (0, 1, 2), "steps": 40}],
    ids=["the same seeds", "other seeds", "another training"],
)
def test_what_evaluates_no_other_set_of_seeds_is_no_look(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    opened(tmp_path / "first", spec(seeds=(0, 1))).close()
    assert earlier_looks(StudyFolder(tmp_path / "second"), spec(**changes), CORPUS) == {}


def test_a_study_of_another_corpus_or_a_damaged_one_is_no_look(tmp_path: Path) -> None:
    opened(tmp_path / "first", spec(seeds=(0,))).close()
    wider = spec(seeds=(0, 1))
    assert earlier_looks(StudyFolder(tmp_path / "second"), wider, "d" * 64) == {}
    assert earlier_looks(StudyFolder("s3://bucket/second"), wider, CORPUS) == {}
    (tmp_path / "first" / "provenance.json").write_text("{")
    assert earlier_looks(StudyFolder(tmp_path / "second"), wider, CORPUS) == {}


SCORES = ClipScores(
    clip_ids=np.arange(4),
    groups=("a", "b", "b", "c"),
    labels=("one",),
    scores=np.zeros((4, 1), dtype=np.float16),
    predicted=("one",) * 4,
    values={"dev_map": np.array([0.25, 0.5, 0.5, 0.75])},
)


def test_scores_by_clip_are_read_and_taken_over_with_the_trial(tmp_path: Path) -> None:
    trained(tmp_path / "first", spec(), 10, 20, 30)
    source = TrialFolder(tmp_path / "first", 0)
    assert source.metrics_by_recording() is None
    source.save_clip_scores(SCORES)
    left, trial = asked(tmp_path / "second", spec())
    assert left is None
    assert trial.clips is not None
    assert trial.clips.recordings == ("a", "b", "c")
    # Longer training has other scores.
    longer = spec(steps=40)
    assert asked(tmp_path / "third", longer)[0] is not None
    assert TrialFolder(tmp_path / "third", 0).metrics_by_recording() is None


def test_damaged_scores_by_clip_are_named(tmp_path: Path) -> None:
    trained(tmp_path / "first", spec(), 10, 20, 30)
    (tmp_path / "first/trials/t00000/probe.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(CheckpointError, match=r"probe\.parquet cannot be read .* remove it"):
        read_study(StudyFolder(tmp_path / "first"))
