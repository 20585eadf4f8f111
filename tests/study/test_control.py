from __future__ import annotations

import os
from pathlib import Path

import pytest

from cpc_core.errors import ConfigError
from study import control
from study.control import CONTROL, Follower, Orders, forget, give, lift, read_orders, study_state
from study.drivers import driver_of
from study.lock import FolderLock
from study.reading import read_study
from tests.study.folders import ended_study
from tests.study.specs import tiny_spec


def test_orders_add_up_and_are_written_whole(tmp_path: Path) -> None:
    assert read_orders(tmp_path) == Orders()
    give(tmp_path, Orders(cancel=(3,)))
    give(tmp_path, Orders(wanted="pause", retry=(1,)))
    give(tmp_path, Orders(cancel=(2, 3), afresh=(5,)))
    assert read_orders(tmp_path) == Orders(wanted="pause", cancel=(2, 3), retry=(1,), afresh=(5,))
    assert [path.name for path in tmp_path.iterdir()] == [CONTROL]


def test_lifting_a_pause_keeps_the_other_orders(tmp_path: Path) -> None:
    give(tmp_path, Orders(wanted="pause", cancel=(3,)))
    lift(tmp_path)
    assert read_orders(tmp_path) == Orders(cancel=(3,))


def test_a_new_run_forgets_orders_to_an_earlier_one(tmp_path: Path) -> None:
    forget(tmp_path)
    assert list(tmp_path.iterdir()) == []
    ended_study(tmp_path, tiny_spec(), lambda assignment: {"dev_map": 0.5}, trials=0)
    give(tmp_path, Orders(wanted="stop", cancel=(3,)))
    forget(tmp_path)
    assert read_orders(tmp_path) == Orders()


def test_orders_to_a_running_driver_are_not_for_another_to_forget(tmp_path: Path) -> None:
    ended_study(tmp_path, tiny_spec(), lambda assignment: {"dev_map": 0.5}, trials=0)
    lock = FolderLock(tmp_path)
    give(tmp_path, Orders(wanted="stop"))
    forget(tmp_path)
    lock.close()
    assert read_orders(tmp_path) == Orders(wanted="stop")


def test_a_damaged_file_is_named_to_a_verb_and_asks_nothing_of_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "POLL_S", 0.0)
    follower = Follower(tmp_path)
    give(tmp_path, Orders(wanted="pause"))
    assert follower.latest().wanted == "pause"
    (tmp_path / CONTROL).write_text('{"wanted": "halt"}')
    with pytest.raises(ConfigError, match=f"{tmp_path / CONTROL} cannot be read.*remove it"):
        read_orders(tmp_path)
    assert follower.latest().wanted == "pause"


def test_a_follower_looks_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("study.control.time.monotonic", lambda: now)
    follower = Follower(tmp_path)
    assert follower.latest() == Orders()
    give(tmp_path, Orders(wanted="stop"))
    now += 0.9
    assert follower.latest() == Orders()
    now += 0.1
    assert follower.latest() == Orders(wanted="stop")


def test_a_driver_is_seen_as_long_as_it_lives(tmp_path: Path) -> None:
    ended_study(tmp_path, tiny_spec(), lambda assignment: {"dev_map": 0.5}, trials=0)
    assert driver_of(tmp_path) is None
    lock = FolderLock(tmp_path)
    assert driver_of(tmp_path) == f"process {os.getpid()}"
    lock.close()
    assert driver_of(tmp_path) is None
    FolderLock(tmp_path).close()


@pytest.mark.parametrize(
    ("wanted", "driven", "left"),
    [("run", "running", "interrupted"), ("pause", "pausing", "paused"), ("stop", "stopping", "stopped"), ("cancel", "stopping", "stopped")],
)
def test_a_study_stands_as_its_driver_and_its_orders_say(tmp_path: Path, wanted: control.Wanted, driven: str, left: str) -> None:
    half = ended_study(tmp_path, tiny_spec(), lambda assignment: {"dev_map": 0.5}, trials=1)
    give(tmp_path, Orders(wanted=wanted))
    assert study_state(tmp_path, half) == left
    lock = FolderLock(tmp_path)
    assert study_state(tmp_path, read_study(tmp_path)) == driven
    lock.close()
    whole = ended_study(tmp_path, tiny_spec(), lambda assignment: {"dev_map": 0.5}, trials=1)
    assert study_state(tmp_path, whole) == "ended"
