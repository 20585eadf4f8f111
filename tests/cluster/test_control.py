"""Control requests to a running study, against Tune's calls: no Ray is started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.tune.search import Searcher

from study.control import requests
from study.control.requests import ControlRequests, clear_pause, request
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.storage.attributes import CANCELLED_BY_USER
from tests.helpers.fake_tune import ControlledTune, stopped
from tests.helpers.specs import tiny_spec


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatcher]:
    monkeypatch.setattr(requests, "POLL_S", 0.0)
    opened = Dispatcher.create_or_open(StudyFolder(tmp_path), tiny_spec(seeds=[0, 1]), "c" * 64, "")
    yield opened
    opened.close()


@pytest.fixture
def tune(store: Dispatcher) -> ControlledTune:
    return ControlledTune(store)


def outcomes(store: Dispatcher) -> list[str]:
    return [trial.outcome for trial in read_study(store.folder).every_trial]


def test_paused_study_ends_once_its_running_trials_have(
    store: Dispatcher, tune: ControlledTune
) -> None:
    tune.start("a")
    request(store.folder, ControlRequests(desired="pause"))
    tune.step()
    assert tune.start("b") is None
    assert tune.report("a", 10) == "CONTINUE"
    tune.report("a", 30, "complete")
    tune.ended("a")
    assert tune.start("b") == Searcher.FINISHED
    assert outcomes(store) == ["complete", "waiting", "waiting", "waiting"]
    assert [(notice.desired, notice.by_signal, notice.running) for notice in tune.notices] == [
        ("pause", False, 1)
    ]


def test_lifted_pause_lets_new_trials_start(store: Dispatcher, tune: ControlledTune) -> None:
    tune.start("a")
    request(store.folder, ControlRequests(desired="pause"))
    tune.step()
    clear_pause(store.folder)
    tune.step()
    assert tune.start("b") == {"number": 1, "attempt": 0}
    assert [notice.desired for notice in tune.notices] == ["pause", "run"]


@pytest.mark.parametrize("by_signal", [True, False])
def test_stopped_study_leaves_its_trials_at_their_next_report(
    store: Dispatcher, tune: ControlledTune, by_signal: bool
) -> None:
    tune.start("a")
    tune.start("b", status="PENDING")
    if by_signal:
        tune.source.signals.came = True
    else:
        request(store.folder, ControlRequests(desired="stop"))
    tune.step()
    assert list(tune.trials) == ["a"]  # b had not begun
    assert tune.start("c") == Searcher.FINISHED
    assert tune.report("a", 10) == "STOP"
    assert outcomes(store) == ["running", "running", "waiting", "waiting"]
    assert stopped(store) == [0]
    assert [event.kind for event in tune.events] == ["started", "started", "left", "report", "left"]
    assert [(notice.desired, notice.by_signal) for notice in tune.notices] == [("stop", by_signal)]
    clear_pause(store.folder)
    tune.step()
    assert tune.start("c") == Searcher.FINISHED


def test_trial_that_ends_while_the_study_stops_has_ended(
    store: Dispatcher, tune: ControlledTune
) -> None:
    tune.start("a")
    tune.source.signals.came = True
    tune.step()
    assert tune.report("a", 30, "complete") == "CONTINUE"
    tune.ended("a")
    assert outcomes(store)[0] == "complete"


def test_cancelled_trials_end_at_once_and_the_others_go_on(
    store: Dispatcher, tune: ControlledTune
) -> None:
    tune.start("a")
    tune.start("b", status="PENDING")
    request(store.folder, ControlRequests(cancel=(0, 3)))
    for _ in range(3):
        tune.step()
    assert stopped(store) == [0]
    tune.ended("a")
    assert outcomes(store) == ["cancelled", "running", "waiting", "cancelled"]
    assert read_study(store.folder).trial(0).reason == CANCELLED_BY_USER
    request(store.folder, ControlRequests(cancel=(1,)))
    tune.step()
    assert list(tune.trials) == []
    assert outcomes(store) == ["cancelled", "cancelled", "waiting", "cancelled"]
    assert tune.start("c") == {"number": 2, "attempt": 0}
    assert tune.notices == []


def test_cancelled_study_ends_with_every_trial(store: Dispatcher, tune: ControlledTune) -> None:
    tune.start("a")
    request(store.folder, ControlRequests(desired="cancel"))
    tune.step()
    assert stopped(store) == [0]
    tune.ended("a", error=True)
    assert tune.start("b") == Searcher.FINISHED
    assert outcomes(store) == ["cancelled"] * 4


def test_trial_complete_before_it_could_be_cancelled_is_complete(
    store: Dispatcher, tune: ControlledTune
) -> None:
    tune.start("a")
    tune.report("a", 30, "complete")
    request(store.folder, ControlRequests(cancel=(0,)))
    tune.step()
    tune.ended("a", error=True)
    assert outcomes(store)[0] == "complete"


def test_running_study_takes_up_a_retry(store: Dispatcher, tune: ControlledTune) -> None:
    for _ in range(store.spec.resources.max_failures + 1):
        tune.start("a")
        tune.ended("a", error=True)
    request(store.folder, ControlRequests(from_scratch=(0,)))
    for _ in range(3):
        tune.step()
    assert outcomes(store) == ["failed", "waiting", "waiting", "waiting", "waiting"]
    assert read_study(store.folder).trial(0).retried_as == 4


def test_the_notice_of_a_stop_knows_how_long_reports_take(
    tune: ControlledTune, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("cluster.tune.searcher.time.monotonic", lambda: now)
    tune.start("a")
    tune.report("a", 10)
    now += 7
    tune.report("a", 20)
    tune.source.signals.came = True
    tune.step()
    assert [(notice.running, notice.report_s) for notice in tune.notices] == [(1, 7.0)]
