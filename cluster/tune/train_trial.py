"""Trials of several workers: Ray Train runs whose reports are read from the trial's log."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import Any, Protocol

from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.train.v2.api.exceptions import WorkerGroupError

from cluster.stop_flag import StopFlag
from cluster.train.trainer import trainer
from cluster.tune.results import (
    CRASHED,
    as_result,
    crashed,
    failed,
    finished,
    paused,
    unwritable,
)
from cluster.tune.trial import StudyTrial
from cpc_core.errors import CpcError, is_of_the_disk
from study.folders.trial_folder import TrialFolder
from study.spec.resources import Resources

ABORT_S = 60.0
"""Time in which a run must end its workers, or start them first."""


POLL_S, STORED_POLL_S = 0.1, 2.0
"""Seconds between two looks at a trial's log, on a disk and in an object store."""


class Run(Protocol):
    """A training run in the background."""

    @property
    def running(self) -> bool:
        """True if it has not ended."""

    @property
    def error(self) -> Exception | None:
        """The error that ended it, if one did."""


class RayTrainTrial(StudyTrial):
    """Trial that a Ray Train run trains while this actor waits for its reports."""

    def begin(self, trial: TrialFolder, flag: StopFlag) -> None:
        """Starts a run."""
        self._flag = flag
        reported = last_reported_step(trial)
        self._run = TrainRun(
            trainer(trial, flag, self.corpus, self.resources, self.scratch, self.grace_s)
        )
        self._results = results(
            trial, reported, self._run, POLL_S if trial.path.is_local else STORED_POLL_S
        )

    def step(self) -> dict[str, Any]:
        """Waits for the next report."""
        result = next(self._results, None)
        if result is None or (result["outcome"] == CRASHED and self._flag.is_set()):
            return finished()
        return result

    def cleanup(self) -> None:
        """Ends the run if it has not ended, so that its CPUs are free."""
        if self._run.running:
            self._flag.set()
            self._run.join(ABORT_S)

    @staticmethod
    def reservation(resources: Resources) -> dict[str, float]:
        """No CPU: those belong to the run's workers.

        Tune refuses to reserve nothing at all. The search bounds the number of trials.
        """
        return {"CPU": 0, "memory": 64 * 2**20}


class TrainRun:
    """Run of a trainer in a thread.

    Args:
        trainer: Runs at once.

    Attributes:
        error: The error that ended it, if one did.
    """

    def __init__(self, trainer: DataParallelTrainer) -> None:
        self.error: Exception | None = None
        self._trainer = trainer
        self._thread = threading.Thread(target=self._fit, name="train-run", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """True if it has not ended."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Waits for its end.

        Raises:
            TimeoutError: It has not ended in time.
        """
        self._thread.join(timeout_s)
        if self.running:
            raise TimeoutError(f"a Ray Train run did not end within {timeout_s:g} s")

    def _fit(self) -> None:
        try:
            self._trainer.fit()
        except Exception as error:
            self.error = error


def last_reported_step(trial: TrialFolder) -> int:
    """Step of the last report that the driver has received before a run begins."""
    ending = trial.ending()
    # A run for a trial that has ended trains nothing: what is missing is the report of its end.
    return trial.newest_step() or 0 if ending is None else ending.step - 1


def results(
    trial: TrialFolder, reported: int, run: Run, poll_s: float
) -> Generator[dict[str, Any], None, None]:
    """Reports of a run in step order, each once, although a resumed run may repeat some.

    Args:
        trial: The trial that the run trains.
        reported: The step up to which the driver has received them.
        run: The run.
        poll_s: Seconds between two looks at the trial's log.
    """
    running = True
    while running:
        running = run.running
        kept = trial.newest_step() or 0
        # The log is read only where a report is new: a line counts once its checkpoint is there,
        # because until then workers may die whose successors would have to repeat the steps. A
        # divergence has none, and ends the run.
        for entry in trial.log() if kept > reported or not running else ():
            if entry.step > reported and (entry.step <= kept or entry.outcome == "diverged"):
                reported = entry.step
                yield as_result(entry)
        time.sleep(poll_s if running else 0)
    if run.error is not None:
        yield _of_error(run.error)
    elif kept > reported:
        yield paused(kept)


def _of_error(error: Exception) -> dict[str, Any]:
    """Result of a run that has failed.

    A worker that dies makes the others fail, too, so that one error with a cause decides, of the
    lowest rank that has one.
    """
    failures = worker_failures(error)
    for failure in failures:
        if isinstance(failure, CpcError):
            return failed(failure)
    for failure in failures:
        if isinstance(failure, OSError) and is_of_the_disk(failure):
            return unwritable(failure)
    return crashed(error)


def worker_failures(error: Exception) -> list[Exception]:
    """Errors of a run's workers by rank; none where it ended in another way."""
    if not isinstance(error, WorkerGroupError):
        return []
    return [error.worker_failures[rank] for rank in sorted(error.worker_failures)]
