"""Control requests to a study below a URI, and to one whose trials are in a database."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpc_core.storage_path import StoragePath
from study.control import apply
from study.control.apply import apply_and_wait
from study.control.requests import ControlRequests, clear_stale, read_requests, request
from study.control.state import study_state
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.storage import postgres as postgres_backend
from study.storage.backends import driver_of
from tests.helpers.postgres import Server
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import asked, opened


def test_requests_to_a_study_in_an_object_store(bucket: str) -> None:
    folder = StoragePath.of(f"{bucket}/steered")
    store = Dispatcher.create_or_open(StudyFolder(folder), tiny_spec(), "c" * 64, "")
    try:
        assert (driver_of(StudyFolder(folder)) or "").startswith("process ")
        request(StudyFolder(folder), ControlRequests(desired="pause"))
        assert study_state(StudyFolder(folder), read_study(StudyFolder(folder))) == "pausing"
    finally:
        store.close()
    assert driver_of(StudyFolder(folder)) is None
    clear_stale(StudyFolder(folder))
    assert read_requests(StudyFolder(folder)) == ControlRequests()
    assert (
        apply_and_wait(StudyFolder(folder), ControlRequests(cancel=(1,))).trial(1).outcome
        == "cancelled"
    )
    assert apply_and_wait(StudyFolder(folder), ControlRequests(retry=(1,))).trial(1).retried_as == 2


def test_trials_in_a_database_are_cancelled_by_their_driver(
    tmp_path: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as there is one."""
    monkeypatch.setattr(postgres_backend, "GRACE_S", 0.0)
    monkeypatch.setattr(apply, "POLL_S", 0.01)
    spec = tiny_spec(store=postgres.url(), seeds=[0, 1])
    with opened(tmp_path, spec) as one, opened(tmp_path, spec) as two:
        assert driver_of(StudyFolder(tmp_path)) is None
        first = asked(one)
        assert driver_of(StudyFolder(tmp_path)) == "the driver of trial 0"
        for driver in (two, one):
            for number in (0, 1):
                driver.cancel(number)
        assert [trial.outcome for trial in read_study(StudyFolder(tmp_path)).trials] == [
            "running",
            "cancelled",
            "waiting",
            "waiting",
        ]
        for driver in (one, two):
            driver.retry(1, from_scratch=False)
        assert len(read_study(StudyFolder(tmp_path)).every_trial) == 5
        assert first.number == 0
    assert driver_of(StudyFolder(tmp_path)) is None
    assert (
        apply_and_wait(StudyFolder(tmp_path), ControlRequests(cancel=(0,))).trial(0).outcome
        == "cancelled"
    )
