"""Studies on Ray whose trials are in a database: killed, and taken up again."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from study.reading import read_study
from study.spec import StudySpec
from tests.cluster.on_ray import Driver, Marked
from tests.postgres import PASSWORD, Server
from tests.study.specs import TINY_BASE, tiny_spec

pytestmark = pytest.mark.integration

STEPS = 200


def test_study_in_a_database_is_killed_and_finished_by_another_driver(tmp_path: Path, marked: Marked, postgres: Server) -> None:
    marked.environment["PGPASSWORD"] = PASSWORD
    base = {**TINY_BASE, "training": {"steps": STEPS, "report_every": 20, "dev_clips": 8}}
    spec: StudySpec = tiny_spec(base=base, store=postgres.url(), resources={"concurrent_trials": 2, "cpus_per_worker": 0.5})
    folder = tmp_path / "study"
    killed = Driver(marked, spec, folder)
    killed.until_report()
    killed.process.send_signal(signal.SIGKILL)
    killed.finish()
    assert marked.all_ended()
    assert {trial.outcome for trial in read_study(folder).trials} == {"running"}

    resumed = Driver(marked, spec, folder)
    started = [number for kind, number, *_ in resumed.events() if kind == "started"]
    assert resumed.finish() == (0, "")
    assert sorted(started) == [0, 1]
    record = read_study(folder)
    assert record.finished
    assert [trial.outcome for trial in record.trials] == ["complete"] * 2
    for trial in record.trials:
        assert [report.step for report in trial.history] == list(range(20, STEPS + 1, 20))
    assert not (folder / "journal.log").exists()
