from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.tune.search import Searcher

from cluster.stop_flag import StopFlag
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.results.records import TrialRecord
from tests.helpers.fake_tune import Tune, scratch, stopped
from tests.helpers.specs import tiny_spec

MEDIAN = {"kind": "median", "startup_trials": 1}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Dispatcher]:
    spec = tiny_spec(
        space={"temperature": [0.05, 0.1, 0.2]}, objective={"metric": "dev_accuracy"}, pruner=MEDIAN
    )
    opened = Dispatcher.create_or_open(StudyFolder(tmp_path), spec, "c" * 64, "")
    yield opened
    opened.close()


def record(store: Dispatcher, number: int) -> TrialRecord:
    return read_study(store.folder).trials[number]


def test_runs_at_most_the_concurrent_trials_and_then_finishes(store: Dispatcher) -> None:
    tune = Tune(store)
    assert [tune.start("a"), tune.start("b"), tune.start("c")] == [
        {"number": 0, "attempt": 0},
        {"number": 1, "attempt": 0},
        None,
    ]
    tune.result("a", 30, "complete", dev_accuracy=0.7)
    tune.returned("a")
    assert tune.start("c") == {"number": 2, "attempt": 0}
    for trial_id in ("b", "c"):
        assert tune.start("d") is None
        tune.result(trial_id, 30, "complete", dev_accuracy=0.7)
        tune.returned(trial_id)
    assert tune.start("d") == Searcher.FINISHED
    assert store.finished


def test_trial_finds_its_configuration_in_its_folder(store: Dispatcher) -> None:
    Tune(store).start("a")
    assert (
        '"temperature":0.05'
        in (store.folder.path / "trials" / "t00000" / "config.json").read_bytes().decode()
    )


def test_complete_trial_keeps_its_final_and_intermediate_values(store: Dispatcher) -> None:
    tune = Tune(store)
    tune.start("a")
    tune.result("a", 10, dev_accuracy=0.6)
    tune.result("a", 20, dev_accuracy=0.65)
    tune.result("a", 30, "complete", dev_accuracy=0.7, dev_map=0.3)
    tune.returned("a")
    trial = store.trials()[0]
    assert (trial.value, trial.intermediate_values) == (0.7, {10: 0.6, 20: 0.65, 30: 0.7})
    assert record(store, 0).metrics == {"dev_accuracy": 0.7, "dev_map": 0.3}


def test_stopped_trial_is_pruned_and_keeps_its_last_value(store: Dispatcher) -> None:
    tune = Tune(store)
    tune.start("a")
    tune.result("a", 10, dev_accuracy=0.9)
    tune.result("a", 30, "complete", dev_accuracy=0.9)
    tune.returned("a")
    tune.start("b")
    assert stopped(store) == []
    assert tune.result("b", 10, dev_accuracy=0.1) == "STOP"
    assert stopped(store) == [1]
    tune.search.on_trial_complete(trial_id="b", result={"step": 10})
    assert record(store, 1).outcome == "pruned"
    assert "step 10" in record(store, 1).reason
    assert store.trials()[1].intermediate_values == {10: 0.1}


def test_diverged_trial_that_returned_normally_keeps_its_reason(
    store: Dispatcher,
) -> None:
    tune = Tune(store)
    tune.start("a")
    tune.result("a", 17, "diverged", "loss became nan at step 17")
    tune.returned("a")
    assert (record(store, 0).outcome, record(store, 0).reason) == (
        "diverged",
        "loss became nan at step 17",
    )
    assert store.trials()[0].value is None


def test_nan_is_a_value_like_any_other_until_the_trial_ends(store: Dispatcher) -> None:
    tune = Tune(store)
    tune.start("a")
    assert tune.result("a", 10, dev_accuracy=float("nan")) == "CONTINUE"
    tune.result("a", 30, "complete", dev_accuracy=float("nan"))
    tune.returned("a")
    assert record(store, 0).outcome == "failed"


@pytest.mark.parametrize(
    ("reported", "error", "reason"),
    [
        (False, True, "ended unexpectedly after step 0"),
        (True, True, "ended unexpectedly after step 10"),
        (True, False, "without a final report"),
    ],
)
def test_crashed_trial_is_failed_and_keeps_what_it_reported(
    store: Dispatcher, reported: bool, error: bool, reason: str
) -> None:
    tune = Tune(store)
    for attempt in range(store.spec.resources.max_failures + 1 if error else 1):
        tune.start(f"a{attempt}")
        if reported and attempt == 0:
            tune.result("a0", 10, dev_accuracy=0.6)
        tune.search.on_trial_complete(trial_id=f"a{attempt}", error=error)
    assert record(store, 0).outcome == "failed"
    assert reason in record(store, 0).reason
    assert record(store, 0).metrics == ({"dev_accuracy": 0.6} if reported else {})


def test_trial_whose_process_died_is_dispatched_again(
    store: Dispatcher,
) -> None:
    tune = Tune(store, concurrent=1)
    for attempt in range(store.spec.resources.max_failures + 1):
        assert tune.start(f"a{attempt}") == {"number": 0, "attempt": attempt}
        assert tune.start("b") is None
        tune.search.on_trial_complete(trial_id=f"a{attempt}", error=True)
    assert record(store, 0).outcome == "failed"
    assert tune.start("b") == {"number": 1, "attempt": 0}
    assert [event.kind for event in tune.events] == ["started", "ended", "started"]


def test_stop_of_a_crashed_attempt_does_not_stop_the_next(store: Dispatcher) -> None:
    """An actor whose call failed ends its run by the flag, while the next attempt may be there."""
    tune = Tune(store, concurrent=1)
    flags = []
    for trial_id in ("a", "b"):
        started: Any = tune.start(trial_id)
        flags.append(StopFlag(scratch(store), **started))
        tune.search.on_trial_complete(trial_id=trial_id, error=True)
    flags[0].set()
    assert [flag.is_set() for flag in flags] == [True, False]


def test_failure_that_the_trial_reports_keeps_its_own_words(store: Dispatcher) -> None:
    tune = Tune(store)
    tune.start("a")
    tune.result("a", 10, dev_accuracy=0.6)
    tune._hand_on("a", {"outcome": "failed", "reason": "shard x is missing", "done": False})
    tune.returned("a")
    assert (record(store, 0).outcome, record(store, 0).reason) == ("failed", "shard x is missing")
    assert record(store, 0).metrics == {"dev_accuracy": 0.6}


def test_events_tell_the_whole_story_once(store: Dispatcher) -> None:
    tune = Tune(store)
    tune.start("a")
    tune.result("a", 10, dev_accuracy=0.6)
    tune.result("a", 30, "complete", dev_accuracy=0.7)
    tune.returned("a")
    assert [(event.kind, event.step, event.outcome, event.ended) for event in tune.events] == [
        ("started", 0, "running", 0),
        ("report", 10, "running", 0),
        ("report", 30, "complete", 0),
        ("ended", 30, "complete", 1),
    ]
    assert {event.planned for event in tune.events} == {3}
    assert tune.events[-1].trial.sample == {"temperature": 0.05}


def test_pickles_to_nothing(store: Dispatcher) -> None:
    tune = Tune(store)
    tune.start("a")
    assert len(pickle.dumps(tune.search)) < 200
    assert len(pickle.dumps(tune.scheduler)) < 200
