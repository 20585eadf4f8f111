from __future__ import annotations

from pathlib import Path

from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from tests.helpers.processes import Driver, Marked
from tests.helpers.ray_nodes import RunningRay
from tests.helpers.specs import TINY_BASE, tiny_spec


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
