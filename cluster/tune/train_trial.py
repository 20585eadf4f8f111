"""Trials of several workers: Ray Train runs whose reports are read from the trial's log."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import Any, Protocol
from uuid import uuid4

import ray.tune
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2.api.config import FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.api.exceptions import WorkerGroupError

from cluster.stop_flag import StopFlag
from cluster.tune.results import CRASHED, as_result, crashed, failed, finished
from cpc_core.errors import CpcError
from cpc_core.storage_path import StoragePath
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import TrialFolder
from study.spec.resources import Resources

COLLECTIVE_TIMEOUT_S = 600
"""Timeout of a collective. The longest wait of the others is for rank 0, which fits the probe."""


CONTROLLER_FAILURES = 2
"""Failures of the Ray Train controller itself that a run survives; the default is any number."""


ACTOR_RESOURCES: dict[str, float] = {"CPU": 0, "memory": 64 * 2**20}
"""Reservation of a trial's own process: no CPU, those belong to its workers.

Tune refuses to reserve nothing at all. The search bounds the number of trials.
"""


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


def ray_train_trainable(
    study: StudyFolder, corpus: StoragePath, resources: Resources, scratch: str
) -> Any:
    """Trainable of trials that are Ray Train runs, for use with `reuse_actors=True`.

    Args:
        study: The study folder, at this path or URI on every node.
        corpus: The corpus folder, at this path or URI on every node.
        resources: Workers and what each reserves.
        scratch: Folder in which Ray Train may write, seen by every node.
    """
    trainable = ray.tune.with_parameters(
        RayTrainTrial, study=study, corpus=corpus, resources=resources, scratch=scratch
    )
    return ray.tune.with_resources(trainable, ACTOR_RESOURCES)


class RayTrainTrial(ray.tune.Trainable):
    """Trial that a Ray Train run trains while this actor waits for its reports.

    The actor is reused: the next trial's is started already.
    """

    def setup(  # type: ignore[override]  # Tune's way to pass a class its parameters
        self,
        config: dict[str, Any],
        study: StudyFolder,
        corpus: StoragePath,
        resources: Resources,
        scratch: str,
    ) -> None:
        """Begins its first trial.

        Args:
            config: `number`: the trial, whose folder holds its configuration. `attempt`: of its
                stop flag.
            study: The study folder.
            corpus: The corpus folder.
            resources: Workers and what each reserves.
            scratch: Folder in which Ray Train may write.
        """
        self._study, self._corpus, self._resources, self._scratch = (
            study,
            corpus,
            resources,
            scratch,
        )
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begins the next trial."""
        self.abort()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Waits for the next report."""
        result = next(self._results, None)
        if result is None or (result["outcome"] == CRASHED and self._flag.is_set()):
            return finished()
        return result

    def abort(self) -> None:
        """Ends the run if it has not ended, so that its CPUs are free."""
        if self._run.running:
            self._flag.set()
            self._run.join(ABORT_S)

    def cleanup(self) -> None:
        """Leaves no run behind."""
        self.abort()

    def _begin(self, config: dict[str, Any]) -> None:
        trial = self._study.trial(config["number"])
        self._flag = StopFlag(self._scratch, config["number"], config["attempt"])
        reported = last_reported_step(trial)
        self._run = TrainRun(
            _trainer(trial, config["attempt"], self._corpus, self._resources, self._scratch)
        )
        self._results = results(
            trial, reported, self._run, POLL_S if self._study.path.is_local else STORED_POLL_S
        )


class TrainRun:
    """Run of a trainer in a thread.

    Args:
        trainer: Runs at once.

    Attributes:
        error: The error that ended it, if one did.
    """

    def __init__(self, trainer: TorchTrainer) -> None:
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
        final = final_error(run.error)
        yield failed(final) if final is not None else crashed(run.error)


def final_error(error: Exception) -> CpcError | None:
    """The `CpcError` of a worker, of the lowest rank that raised one; None for a crash.

    A worker that dies makes the others fail, too, so that one final error among them decides.
    """
    if not isinstance(error, WorkerGroupError):
        return None
    failures = [error.worker_failures[rank] for rank in sorted(error.worker_failures)]
    return next((failure for failure in failures if isinstance(failure, CpcError)), None)


def _trainer(
    trial: TrialFolder, attempt: int, corpus: StoragePath, resources: Resources, scratch: str
) -> TorchTrainer:
    return TorchTrainer(
        _train,
        train_loop_config={
            "study": str(trial.study),
            "corpus": str(corpus),
            "number": trial.number,
            "attempt": attempt,
            "scratch": scratch,
            "threads": resources.threads,
        },
        torch_config=TorchConfig(timeout_s=COLLECTIVE_TIMEOUT_S),
        scaling_config=ScalingConfig(
            num_workers=resources.workers,
            use_gpu=resources.gpus_per_worker > 0,
            resources_per_worker=worker_resources(resources),
        ),
        run_config=RunConfig(  # type: ignore[arg-type]  # Ray declares the class of the former API and refuses it
            # A name of its own for every attempt: Ray Train would read what an earlier one of the
            # same name had left.
            name=f"{trial.name}-{uuid4().hex}",
            storage_path=scratch,
            # The search dispatches a crashed trial again: only there, one that was stopped is known
            # from one that crashed.
            failure_config=FailureConfig(
                max_failures=0, controller_failure_limit=CONTROLLER_FAILURES
            ),
        ),
    )


def _train(task: dict[str, Any]) -> None:
    """Runs in every worker: only there, what trains is imported."""
    from cluster.train.worker import train_worker

    train_worker(task)


def worker_resources(resources: Resources) -> dict[str, float]:
    """Reservation of one worker."""
    reserved = {"CPU": resources.cpus_per_worker}
    return {**reserved, "GPU": resources.gpus_per_worker} if resources.gpus_per_worker else reserved
