"""What a running study is asked, against Tune's calls: no Ray is started."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.search import Searcher

from cluster.events import Notice, StudyEvent
from cluster.tune.control import ControlLoop, ControlSource, without_known_errors
from cluster.tune.scheduler import StudyScheduler
from cluster.tune.searcher import StudySearcher
from study.control import requests
from study.control.requests import ControlRequests, clear_pause, request
from study.dispatch.dispatcher import Dispatcher
from study.results.reader import read_study
from study.storage.attributes import CANCELLED_BY_USER
from tests.helpers.fake_tune import TrialActor
from tests.helpers.specs import tiny_spec


class Tune:
    """A controller with up to two trials, as Tune's loop drives searcher and scheduler."""

    def __init__(self, store: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[StudyEvent] = []
        self.notices: list[Notice] = []
        self.killed: list[str] = []
        self.given_up: list[str] = []
        self.trials: dict[str, SimpleNamespace] = {}
        monkeypatch.setattr(
            "cluster.tune.control.ray.kill", lambda actor: self.killed.append(actor.trial_id)
        )
        self.search = StudySearcher(store, 2, self.events.append)
        self.asked = ControlSource(store.folder)
        self.steering = ControlLoop(store, self.search, self.asked, self.notices.append)
        self.scheduler = StudyScheduler(self.search, self.steering)

    def step(self) -> None:
        self.scheduler.choose_trial_to_run(self)  # type: ignore[arg-type]

    def start(self, name: str, status: str = "RUNNING") -> object:
        suggested = self.search.suggest(trial_id=name)
        if isinstance(suggested, dict):
            state = SimpleNamespace(ray_actor=TrialActor(name, self.given_up))
            self.trials[name] = SimpleNamespace(trial_id=name, status=status, temporary_state=state)
        return suggested

    def report(self, name: str, step: int, outcome: str = "running") -> str:
        result = {
            "step": step,
            "outcome": outcome,
            "reason": "",
            "done": False,
            "metrics/dev_map": 0.5,
        }
        decision = self.scheduler.on_trial_result(None, self.trials[name], result)  # type: ignore[arg-type]
        if decision == "STOP":
            self.stop_trial(self.trials[name])
        return decision

    def ended(self, name: str, *, error: bool = False) -> None:
        del self.trials[name]
        self.search.on_trial_complete(trial_id=name, error=error)

    def stop_trial(self, trial: SimpleNamespace) -> None:
        self.ended(trial.trial_id)

    def get_live_trials(self) -> set[Any]:
        return _Identified(self.trials.values())

    def get_trials(self) -> list[Any]:
        return []


class _Identified(set[Any]):
    """A set of what cannot be hashed."""

    def __init__(self, trials: Any) -> None:
        super().__init__()
        self._trials = list(trials)

    def copy(self) -> Any:
        return self._trials


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatcher]:
    monkeypatch.setattr(requests, "POLL_S", 0.0)
    opened = Dispatcher.create_or_open(tmp_path, tiny_spec(seeds=[0, 1]), "c" * 64, "")
    yield opened
    opened.close()


@pytest.fixture
def tune(store: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> Tune:
    return Tune(store, monkeypatch)


def outcomes(store: Dispatcher) -> list[str]:
    return [trial.outcome for trial in read_study(store.folder).every_trial]


def test_paused_study_ends_once_its_running_trials_have(store: Dispatcher, tune: Tune) -> None:
    tune.start("a")
    request(store.folder, ControlRequests(wanted="pause"))
    tune.step()
    assert tune.start("b") is None
    assert tune.report("a", 10) == "CONTINUE"
    tune.report("a", 30, "complete")
    tune.ended("a")
    assert tune.start("b") == Searcher.FINISHED
    assert outcomes(store) == ["complete", "waiting", "waiting", "waiting"]
    assert [(notice.wanted, notice.by_signal, notice.running) for notice in tune.notices] == [
        ("pause", False, 1)
    ]


def test_lifted_pause_lets_new_trials_start(store: Dispatcher, tune: Tune) -> None:
    tune.start("a")
    request(store.folder, ControlRequests(wanted="pause"))
    tune.step()
    clear_pause(store.folder)
    tune.step()
    assert tune.start("b") == {"number": 1}
    assert [notice.wanted for notice in tune.notices] == ["pause", "run"]


@pytest.mark.parametrize("by_signal", [True, False])
def test_stopped_study_leaves_its_trials_at_their_next_report(
    store: Dispatcher, tune: Tune, by_signal: bool
) -> None:
    tune.start("a")
    tune.start("b", status="PENDING")
    if by_signal:
        tune.asked.signalled = True
    else:
        request(store.folder, ControlRequests(wanted="stop"))
    tune.step()
    assert list(tune.trials) == ["a"]  # b had not begun
    assert tune.start("c") == Searcher.FINISHED
    assert tune.report("a", 10) == "STOP"
    assert outcomes(store) == ["running", "running", "waiting", "waiting"]
    assert [event.kind for event in tune.events] == ["started", "started", "left", "report", "left"]
    assert [(notice.wanted, notice.by_signal) for notice in tune.notices] == [("stop", by_signal)]
    clear_pause(store.folder)
    tune.step()
    assert tune.start("c") == Searcher.FINISHED


def test_trial_that_ends_while_the_study_stops_has_ended(store: Dispatcher, tune: Tune) -> None:
    tune.start("a")
    tune.asked.signalled = True
    tune.step()
    assert tune.report("a", 30, "complete") == "CONTINUE"
    tune.ended("a")
    assert outcomes(store)[0] == "complete"


def test_cancelled_trials_end_at_once_and_the_others_go_on(store: Dispatcher, tune: Tune) -> None:
    tune.start("a")
    tune.start("b", status="PENDING")
    request(store.folder, ControlRequests(cancel=(0, 3)))
    for _ in range(3):
        tune.step()
    assert tune.killed == ["a"]
    tune.ended("a", error=True)
    assert outcomes(store) == ["cancelled", "running", "waiting", "cancelled"]
    assert read_study(store.folder).trial(0).reason == CANCELLED_BY_USER
    request(store.folder, ControlRequests(cancel=(1,)))
    tune.step()
    assert (list(tune.trials), tune.killed) == ([], ["a"])
    assert outcomes(store) == ["cancelled", "cancelled", "waiting", "cancelled"]
    assert tune.start("c") == {"number": 2}
    assert tune.notices == []


def test_cancelled_study_ends_with_every_trial(store: Dispatcher, tune: Tune) -> None:
    tune.start("a")
    request(store.folder, ControlRequests(wanted="cancel"))
    tune.step()
    tune.ended("a", error=True)
    assert tune.start("b") == Searcher.FINISHED
    assert outcomes(store) == ["cancelled"] * 4


def test_trial_that_was_complete_before_it_could_be_cancelled_is_complete(
    store: Dispatcher, tune: Tune
) -> None:
    tune.start("a")
    tune.report("a", 30, "complete")
    request(store.folder, ControlRequests(cancel=(0,)))
    tune.step()
    tune.ended("a", error=True)
    assert outcomes(store)[0] == "complete"


def test_running_study_takes_up_a_retry(store: Dispatcher, tune: Tune) -> None:
    for _ in range(store.spec.resources.max_failures + 1):
        tune.start("a")
        tune.ended("a", error=True)
    request(store.folder, ControlRequests(afresh=(0,)))
    for _ in range(3):
        tune.step()
    assert outcomes(store) == ["failed", "waiting", "waiting", "waiting", "waiting"]
    assert read_study(store.folder).trial(0).retried_as == 4


def test_the_notice_of_a_stop_knows_how_long_reports_take(
    tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("cluster.tune.searcher.time.monotonic", lambda: now)
    tune.start("a")
    tune.report("a", 10)
    now += 7
    tune.report("a", 20)
    tune.asked.signalled = True
    tune.step()
    assert [(notice.running, notice.report_s) for notice in tune.notices] == [(1, 7.0)]


def test_tune_is_silent_about_cancelled_trials_only(
    store: Dispatcher, tune: Tune, caplog: pytest.LogCaptureFixture
) -> None:
    tune.start("trial-a")
    request(store.folder, ControlRequests(cancel=(0,)))
    tune.step()
    logger = logging.getLogger("ray.tune.execution.tune_controller")
    with without_known_errors(tune.steering), caplog.at_level(logging.ERROR):
        for name in ("trial-a", "trial-b"):
            logger.error(f"Trial task failed for trial train_trial_{name}")
        logging.getLogger("ray.tune.tune").error("Trials did not complete: %s", [])
    logger.error("after")
    assert [record.getMessage() for record in caplog.records] == [
        "Trial task failed for trial train_trial_trial-b",
        "after",
    ]
