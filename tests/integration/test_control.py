"""One study, asked for everything that can be asked of it while it runs."""

from __future__ import annotations

import time
from pathlib import Path

from study.control.apply import apply_and_wait
from study.control.requests import ControlRequests, request
from study.control.state import study_state
from study.folders.provenance import attempts
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import TrialFolder
from study.results.reader import read_study
from study.spec.study_spec import StudySpec
from tests.helpers.processes import Driver, Marked
from tests.helpers.ray_nodes import START_S, RunningRay, await_that
from tests.helpers.specs import TINY_BASE, tiny_spec

STEPS, FAR = 160, 10**6


SPEC: StudySpec = tiny_spec(
    base={**TINY_BASE, "training": {"steps": STEPS, "report_every": 20, "dev_clips": 8}},
    space={"temperature": [0.05, 0.1, 0.2]},
    resources={"concurrent_trials": 2, "cpus_per_worker": 0.5},
)


DISTANT: StudySpec = tiny_spec(
    base={**TINY_BASE, "training": {"steps": FAR, "report_every": FAR, "dev_clips": 8}},
    space={"temperature": [0.05, 0.1]},
)


AT_ONCE_S = 15.0
"""On a busy machine. The next report is an hour away."""


def outcomes(folder: Path) -> list[str]:
    return [trial.outcome for trial in read_study(StudyFolder(folder)).every_trial]


def test_cancel_stop_retry_pause_and_resume(
    tmp_path: Path, running_ray: RunningRay, marked: Marked
) -> None:
    folder = tmp_path / "study"
    first = Driver(marked, SPEC, folder, ray=running_ray)
    first.until_report()
    assert (
        apply_and_wait(StudyFolder(folder), ControlRequests(cancel=(0,))).trial(0).outcome
        == "cancelled"
    )
    request(StudyFolder(folder), ControlRequests(desired="stop"))
    assert first.finish() == (0, "")
    stopped = read_study(StudyFolder(folder))
    assert study_state(StudyFolder(folder), stopped) == "stopped"
    assert outcomes(folder)[:2] == ["cancelled", "running"]

    assert apply_and_wait(StudyFolder(folder), ControlRequests(retry=(0,))).trial(0).retried_as == 3
    second = Driver(marked, SPEC, folder, ray=running_ray)
    second.until_report()
    request(StudyFolder(folder), ControlRequests(desired="pause"))
    running = {
        trial.number
        for trial in read_study(StudyFolder(folder)).trials
        if trial.outcome == "running"
    }
    assert second.finish() == (0, "")
    assert {
        trial.number
        for trial in read_study(StudyFolder(folder)).trials
        if trial.outcome == "complete"
    } == running
    assert study_state(StudyFolder(folder), read_study(StudyFolder(folder))) == "paused"

    third = Driver(marked, SPEC, folder, ray=running_ray)
    assert third.finish() == (0, "")
    record = read_study(StudyFolder(folder))
    assert study_state(StudyFolder(folder), record) == "ended"
    assert [(trial.number, trial.outcome) for trial in record.trials] == [
        (number, "complete") for number in (1, 2, 3)
    ]
    for number in (1, 2, 3):
        assert [entry.step for entry in TrialFolder(folder, number).log()] == list(
            range(20, STEPS + 1, 20)
        )
        assert TrialFolder(folder, number).require_checkpoint().name == f"checkpoint-{STEPS:09d}"


def test_a_trial_far_from_its_next_report_is_cancelled_at_once(
    tmp_path: Path, running_ray: RunningRay, marked: Marked
) -> None:
    folder = tmp_path / "study"
    driver = Driver(marked, DISTANT, folder, ray=running_ray)
    assert next(driver.events())[:2] == ("started", 0)
    await_that(lambda: bool(attempts(TrialFolder(folder, 0))), START_S, "the trial trains")
    asked = time.monotonic()
    apply_and_wait(StudyFolder(folder), ControlRequests(cancel=(0,)))
    assert time.monotonic() - asked < AT_ONCE_S
    assert next(driver.events())[:2] == ("ended", 0)
    assert next(driver.events())[:2] == ("started", 1)
    apply_and_wait(StudyFolder(folder), ControlRequests(desired="cancel"))
    assert driver.finish() == (0, "")
    assert outcomes(folder) == ["cancelled", "cancelled"]
