from __future__ import annotations

from pathlib import Path

from study.results.reader import read_study
from tests.helpers.processes import Driver, Marked
from tests.helpers.specs import TINY_BASE, tiny_spec

STOPS = 10


def test_ray_train_runs_stopped_ten_times_in_a_row_free_what_they_held(
    tmp_path: Path, marked: Marked
) -> None:
    """Half of two CPUs is for the trial's workers: if a stop left its placement group, the third
    trial could not start.
    """
    spec = tiny_spec(
        base={**TINY_BASE, "training": {"steps": 4, "report_every": 2, "dev_clips": 8}},
        space={},
        seeds=list(range(STOPS + 1)),
        resources={"concurrent_trials": 1, "workers": 2, "cpus_per_worker": 0.5},
    )
    driver = Driver(marked, spec, tmp_path / "study", "--cpus", "2", "--stops", str(STOPS))
    events = list(driver.events())
    assert driver.finish() == (0, "")
    stopped: list[tuple[str, int, int, str]] = []
    for number in range(STOPS):
        stopped += [
            ("started", number, 0, "running"),
            ("report", number, 2, "running"),
            ("ended", number, 2, "pruned"),
        ]
    assert events[: len(stopped)] == stopped
    assert events[-1] == ("ended", STOPS, 4, "complete")
    assert [trial.outcome for trial in read_study(tmp_path / "study").trials] == [
        "pruned"
    ] * STOPS + ["complete"]
