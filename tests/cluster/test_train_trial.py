from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import ActorDiedError
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError

from cluster.train.trainer import worker_resources
from cluster.tune.train_trial import last_reported_step, results
from cpc_core.errors import CorpusError
from cpc_core.report import Outcome, Report
from study.folders.trial_folder import TrialFolder
from study.spec.resources import Resources
from tests.helpers.trainings import attempt_config

Deed = Callable[[TrialFolder], object]


def test_workers_reserve_gpus_only_where_asked() -> None:
    assert worker_resources(Resources(cpus_per_worker=0.5)) == {"CPU": 0.5}
    assert worker_resources(Resources(cpus_per_worker=2, gpus_per_worker=1)) == {"CPU": 2, "GPU": 1}


class Scripted:
    """A run whose workers do one deed each time it is looked at, and end after the last."""

    def __init__(self, trial: TrialFolder, *deeds: Deed, error: Exception | None = None) -> None:
        self._trial, self._deeds, self.error = trial, list(deeds), error

    @property
    def running(self) -> bool:
        if self._deeds:
            self._deeds.pop(0)(self._trial)
            return True
        return False


def logs(step: int, outcome: Outcome = "running") -> Deed:
    return lambda trial: trial.append(Report(step, {"dev_map": step / 10}, outcome, "", 1.0))


def keeps(step: int) -> Deed:
    return lambda trial: trial.save_checkpoint(
        step, lambda folder: (folder / "state.pt").write_bytes(b"")
    )


def test_workers_that_paused_leave_the_trial_resumable(trial: TrialFolder) -> None:
    assert reported(trial, logs(4), keeps(4), keeps(6)) == [(4, "running"), (6, "paused")]
    # The next attempt repeats neither.
    assert reported(trial, logs(8), keeps(8)) == [(8, "running")]


def test_full_disk_of_a_worker_leaves_the_trial_resumable(trial: TrialFolder) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    lost: dict[int, Exception] = {0: full, 1: RuntimeError("Connection closed by peer")}
    error = WorkerGroupError("Worker failed", lost)
    assert reported(trial, logs(4), keeps(4), error=error) == [
        (4, "running"),
        ("unwritable", "No space left on device"),
    ]
    gone: dict[int, Exception] = {1: ConnectionResetError("peer")}
    (_, crash) = reported(trial, logs(8), keeps(8), error=WorkerGroupError("it died", gone))
    assert crash[0] == "crashed"


def rewinds(step: int) -> Deed:
    return lambda trial: trial.rewind(step)


def reported(trial: TrialFolder, *deeds: Deed, error: Exception | None = None) -> list[Any]:
    """A run's results: step and outcome of each report, or outcome and reason of a failure."""
    found = results(
        trial, last_reported_step(trial), Scripted(trial, *deeds, error=error), poll_s=0
    )
    return [
        (result["step"], result["outcome"])
        if "step" in result
        else (result["outcome"], result["reason"])
        for result in found
    ]


@pytest.fixture
def trial(tmp_path: Path) -> TrialFolder:
    trial = TrialFolder(tmp_path, 0)
    trial.create(attempt_config())
    return trial


def test_each_report_is_a_result_once_its_checkpoint_is_there(trial: TrialFolder) -> None:
    found = results(
        trial,
        last_reported_step(trial),
        Scripted(trial, logs(4), keeps(4), logs(8, "complete"), keeps(8)),
        poll_s=0,
    )
    assert next(found) == {
        "step": 4,
        "outcome": "running",
        "reason": "",
        "metrics": {"dev_map": 0.4},
    }
    assert trial.newest_step() == 4
    assert [(result["step"], result["outcome"]) for result in found] == [(8, "complete")]
    assert trial.newest_step() == 8


def test_several_reports_between_two_polls_are_all_results(trial: TrialFolder) -> None:
    def many(trial: TrialFolder) -> None:
        for deed in (logs(4), keeps(4), logs(8), keeps(8), logs(12, "complete"), keeps(12)):
            deed(trial)

    assert reported(trial, many) == [(4, "running"), (8, "running"), (12, "complete")]


def test_steps_repeated_after_a_worker_died_are_no_results_again(trial: TrialFolder) -> None:
    lost = (logs(4), keeps(4), logs(8), rewinds(4))
    assert reported(trial, *lost, logs(8), keeps(8), logs(12, "complete"), keeps(12)) == [
        (4, "running"),
        (8, "running"),
        (12, "complete"),
    ]


def test_last_line_without_its_checkpoint_ends_no_trial(trial: TrialFolder) -> None:
    assert reported(trial, logs(4), keeps(4), logs(8, "complete")) == [(4, "running")]


def test_divergence_has_no_checkpoint_to_wait_for(trial: TrialFolder) -> None:
    assert reported(trial, logs(4), keeps(4), logs(5, "diverged")) == [
        (4, "running"),
        (5, "diverged"),
    ]


def test_later_attempt_gives_what_earlier_ones_have_not_given(trial: TrialFolder) -> None:
    for deed in (logs(4), keeps(4), logs(8)):
        deed(trial)
    assert reported(trial, rewinds(4), logs(8), keeps(8), logs(12, "complete"), keeps(12)) == [
        (8, "running"),
        (12, "complete"),
    ]


def test_trial_whose_end_was_not_told_gives_its_last_report(trial: TrialFolder) -> None:
    for deed in (logs(4), keeps(4), logs(8, "complete"), keeps(8)):
        deed(trial)
    assert reported(trial) == [(8, "complete")]


def test_error_of_a_worker_is_final_and_anything_else_a_crash(trial: TrialFolder) -> None:
    damaged = CorpusError("row group 3 cannot be read")
    final = WorkerGroupError("failed", {0: ActorDiedError(), 1: damaged})
    assert reported(trial, logs(4), keeps(4), error=final) == [
        (4, "running"),
        ("failed", "row group 3 cannot be read"),
    ]
    died = WorkerGroupError("first\nthe last line\n", {0: ActorDiedError()})
    assert reported(trial, error=died) == [("crashed", "the last line")]
    assert reported(trial, error=ControllerError(ActorDiedError()))[0][0] == "crashed"
    assert reported(trial, error=ConnectionError()) == [("crashed", "ConnectionError")]
