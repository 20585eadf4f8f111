from __future__ import annotations

import signal
from pathlib import Path

from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from tests.helpers.processes import Driver, Marked
from tests.helpers.ray_nodes import RunningRay
from tests.helpers.specs import TINY_BASE, tiny_spec
from tests.helpers.trainings import log_without_timing


def test_stopped_ray_train_runs_release_their_resources(
    tmp_path: Path, running_ray: RunningRay, marked: Marked, fault_rounds: int
) -> None:
    """Half of two CPUs is for the trial's workers: if a stop left its placement group, the third
    trial could not start.
    """
    stops = 2 * fault_rounds
    spec = tiny_spec(
        base={**TINY_BASE, "training": {"steps": 4, "report_every": 2, "dev_clips": 8}},
        space={},
        seeds=list(range(stops + 1)),
        resources={"concurrent_trials": 1, "workers": 2, "cpus_per_worker": 0.5},
    )
    driver = Driver(marked, spec, tmp_path / "study", "--stops", str(stops), ray=running_ray)
    events = list(driver.events())
    assert driver.finish() == (0, "")
    stopped: list[tuple[str, int, int, str]] = []
    for number in range(stops):
        stopped += [
            ("started", number, 0, "running"),
            ("report", number, 2, "running"),
            ("ended", number, 2, "pruned"),
        ]
    assert events[: len(stopped)] == stopped
    assert events[-1] == ("ended", stops, 4, "complete")
    assert [trial.outcome for trial in read_study(StudyFolder(tmp_path / "study")).trials] == [
        "pruned"
    ] * stops + ["complete"]


def test_two_workers_pause_between_reports(
    tmp_path: Path, running_ray: RunningRay, marked: Marked
) -> None:
    """Each worker takes up its own metrics since the last report."""
    training = {"steps": 300, "report_every": 150, "dev_clips": 8, "collapse_window": 50}
    spec = tiny_spec(
        base={**TINY_BASE, "training": training},
        space={},
        resources={"concurrent_trials": 1, "workers": 2, "cpus_per_worker": 0.5},
    )
    whole = Driver(marked, spec, tmp_path / "whole", ray=running_ray)
    assert [event[2] for event in whole.events()] == [0, 150, 300, 300]
    assert whole.finish() == (0, "")

    own = tmp_path / "apart" / "study"
    own.parent.mkdir()
    paused = Driver(marked, spec, own, "--grace-s", "0", ray=running_ray)
    events = paused.events()
    assert any(event[0] == "report" for event in events)
    paused.process.send_signal(signal.SIGTERM)
    kind, number, step, outcome = list(events)[-1]
    assert (kind, number, outcome) == ("left", 0, "running")
    assert paused.finish()[0] == 130
    assert 150 < step < 300 and StudyFolder(own).trial(0).newest_step() == step

    resumed = Driver(marked, spec, own, ray=running_ray)
    assert list(resumed.events())[-1] == ("ended", 0, 300, "complete")
    assert resumed.finish() == (0, "")
    assert log_without_timing(own, 0) == log_without_timing(tmp_path / "whole", 0)
