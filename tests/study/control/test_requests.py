from __future__ import annotations

import os
from pathlib import Path

import pytest

from cpc_core.errors import ConfigError
from study.control import requests
from study.control.requests import (
    ControlReader,
    ControlRequests,
    clear_pause,
    clear_stale,
    read_requests,
    request,
)
from study.control.state import study_state
from study.folders.study_folder import CONTROL, StudyFolder
from study.results.reader import read_study
from study.storage.backends import driver_of
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import ended_study, locked


def test_requests_add_up_and_are_written_whole(tmp_path: Path) -> None:
    assert read_requests(StudyFolder(tmp_path)) == ControlRequests()
    request(StudyFolder(tmp_path), ControlRequests(cancel=(3,)))
    request(StudyFolder(tmp_path), ControlRequests(desired="pause", retry=(1,)))
    request(StudyFolder(tmp_path), ControlRequests(cancel=(2, 3), from_scratch=(5,)))
    assert read_requests(StudyFolder(tmp_path)) == ControlRequests(
        desired="pause", cancel=(2, 3), retry=(1,), from_scratch=(5,)
    )
    assert [path.name for path in tmp_path.iterdir()] == [CONTROL]


def test_clearing_a_pause_keeps_the_other_requests(tmp_path: Path) -> None:
    request(StudyFolder(tmp_path), ControlRequests(desired="pause", cancel=(3,)))
    clear_pause(StudyFolder(tmp_path))
    assert read_requests(StudyFolder(tmp_path)) == ControlRequests(cancel=(3,))


def test_new_run_clears_requests_to_an_earlier_one(tmp_path: Path) -> None:
    clear_stale(StudyFolder(tmp_path))
    assert list(tmp_path.iterdir()) == []
    ended_study(tmp_path, tiny_spec(), lambda assignment: {"dev_map": 0.5}, trials=0)
    request(StudyFolder(tmp_path), ControlRequests(desired="stop", cancel=(3,)))
    clear_stale(StudyFolder(tmp_path))
    assert read_requests(StudyFolder(tmp_path)) == ControlRequests()


def test_requests_to_a_running_driver_are_not_cleared(tmp_path: Path) -> None:
    ended_study(tmp_path, tiny_spec(), lambda assignment: {"dev_map": 0.5}, trials=0)
    lock = locked(tmp_path)
    request(StudyFolder(tmp_path), ControlRequests(desired="stop"))
    clear_stale(StudyFolder(tmp_path))
    lock.close()
    assert read_requests(StudyFolder(tmp_path)) == ControlRequests(desired="stop")


def test_damaged_file_is_named_and_requests_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "POLL_S", 0.0)
    reader = ControlReader(StudyFolder(tmp_path))
    request(StudyFolder(tmp_path), ControlRequests(desired="pause"))
    assert reader.latest().desired == "pause"
    (tmp_path / CONTROL).write_text('{"wanted": "halt"}')
    with pytest.raises(ConfigError, match=f"{tmp_path / CONTROL} cannot be read.*remove it"):
        read_requests(StudyFolder(tmp_path))
    assert reader.latest().desired == "pause"


def test_a_follower_looks_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("study.control.requests.time.monotonic", lambda: now)
    reader = ControlReader(StudyFolder(tmp_path))
    assert reader.latest() == ControlRequests()
    request(StudyFolder(tmp_path), ControlRequests(desired="stop"))
    now += 0.9
    assert reader.latest() == ControlRequests()
    now += 0.1
    assert reader.latest() == ControlRequests(desired="stop")


def test_a_driver_is_seen_as_long_as_it_lives(tmp_path: Path) -> None:
    ended_study(tmp_path, tiny_spec(), lambda assignment: {"dev_map": 0.5}, trials=0)
    assert driver_of(StudyFolder(tmp_path)) is None
    lock = locked(tmp_path)
    assert driver_of(StudyFolder(tmp_path)) == f"process {os.getpid()}"
    lock.close()
    assert driver_of(StudyFolder(tmp_path)) is None
    locked(tmp_path).close()


@pytest.mark.parametrize(
    ("wanted", "driven", "left"),
    [
        ("run", "running", "interrupted"),
        ("pause", "pausing", "paused"),
        ("stop", "stopping", "stopped"),
        ("cancel", "stopping", "stopped"),
    ],
)
def test_state_follows_from_driver_and_requests(
    tmp_path: Path, wanted: requests.Desired, driven: str, left: str
) -> None:
    half = ended_study(tmp_path, tiny_spec(), lambda assignment: {"dev_map": 0.5}, trials=1)
    request(StudyFolder(tmp_path), ControlRequests(desired=wanted))
    assert study_state(StudyFolder(tmp_path), half) == left
    lock = locked(tmp_path)
    assert study_state(StudyFolder(tmp_path), read_study(StudyFolder(tmp_path))) == driven
    lock.close()
    whole = ended_study(tmp_path, tiny_spec(), lambda assignment: {"dev_map": 0.5}, trials=1)
    assert study_state(StudyFolder(tmp_path), whole) == "ended"
