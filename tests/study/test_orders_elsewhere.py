"""Orders to a study below a URI, and to one whose trials are in a database."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpc_core.corpus.location import Location
from study import ordering, postgres_locks
from study.control import Orders, forget, give, read_orders, study_state
from study.drivers import driver_of
from study.ordering import have_carried_out
from study.reading import read_study
from study.store import StudyStore
from tests.postgres import Server
from tests.study.specs import tiny_spec
from tests.study.test_store import asked, opened


def test_orders_to_a_study_in_an_object_store(bucket: str) -> None:
    folder = Location.of(f"{bucket}/steered")
    store = StudyStore.create_or_open(folder, tiny_spec(), "c" * 64, "")
    try:
        assert (driver_of(folder) or "").startswith("process ")
        give(folder, Orders(wanted="pause"))
        assert study_state(folder, read_study(folder)) == "pausing"
    finally:
        store.close()
    assert driver_of(folder) is None
    forget(folder)
    assert read_orders(folder) == Orders()
    assert have_carried_out(folder, Orders(cancel=(1,))).trial(1).outcome == "cancelled"
    assert have_carried_out(folder, Orders(retry=(1,))).trial(1).retried_as == 2


def test_trials_in_a_database_are_ended_by_their_driver_as_long_as_there_is_one(
    tmp_path: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_locks, "GRACE_S", 0.0)
    monkeypatch.setattr(ordering, "POLL_S", 0.01)
    spec = tiny_spec(store=postgres.url(), seeds=[0, 1])
    with opened(tmp_path, spec) as one, opened(tmp_path, spec) as two:
        assert driver_of(tmp_path) is None
        first = asked(one)
        assert driver_of(tmp_path) == "the driver of trial 0"
        for driver in (two, one):
            for number in (0, 1):
                driver.cancel(number)
        assert [trial.outcome for trial in read_study(tmp_path).trials] == ["running", "cancelled", "waiting", "waiting"]
        for driver in (one, two):
            driver.retry(1, fresh=False)
        assert len(read_study(tmp_path).every_trial) == 5
        assert first.number == 0
    assert driver_of(tmp_path) is None
    assert have_carried_out(tmp_path, Orders(cancel=(0,))).trial(0).outcome == "cancelled"
