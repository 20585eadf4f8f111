"""Trials of several workers: the trial's actor starts a Ray Train run and takes its reports from
the trial's log.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any
from uuid import uuid4

import ray.tune
from ray.train.v2.api.config import FailureConfig, RunConfig, ScalingConfig

from cluster.train.run import TrainRun
from cluster.train.trainer import ProcessGroup, TrialTrainer, final_error
from cluster.tune.results import as_result, failed, finished
from cpc_core.storage_path import StoragePath
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import TrialFolder
from study.spec.resources import Resources

COLLECTIVE_TIMEOUT_S = 600
"""How long a worker waits for the others. Rank 0 alone fits the probe at the end, the longest they
are apart.
"""


CONTROLLER_FAILURES = 2
"""How often the Ray Train controller itself may fail; its default is for ever."""


ACTOR_RESOURCES: dict[str, float] = {"CPU": 0, "memory": 64 * 2**20}
"""What a trial's own process reserves: no CPU, those belong to its workers, but Tune refuses to
reserve nothing at all. How many trials there are is bounded by the search.
"""


POLL_S, STORED_POLL_S = 0.1, 2.0
"""Seconds between two looks at a trial's log: on a disk, and in an object store, where each is a
request.
"""


def ray_train_trainable(
    study: StudyFolder, corpus: StoragePath, resources: Resources, scratch: str
) -> Any:
    """The trainable of trials that are Ray Train runs, to be used with `reuse_actors=True`.

    Args:
        study: The study folder, at this path or URI on every node.
        corpus: The corpus folder, at this path or URI on every node.
        resources: Workers and what each reserves.
        scratch: Where Ray Train may write, seen by every node.
    """
    trainable = ray.tune.with_parameters(
        RayTrainTrial, study=study, corpus=corpus, resources=resources, scratch=scratch
    )
    return ray.tune.with_resources(trainable, ACTOR_RESOURCES)


class RayTrainTrial(ray.tune.Trainable):
    """A trial that a Ray Train run trains while this actor waits for its reports; the next trial
    finds the actor started.
    """

    def setup(  # type: ignore[override]  # Tune's way to hand a class its parameters
        self,
        config: dict[str, Any],
        study: StudyFolder,
        corpus: StoragePath,
        resources: Resources,
        scratch: str,
    ) -> None:
        """Begins its first trial.

        Args:
            config: `number`: the trial, whose folder holds its configuration.
            study: The study folder.
            corpus: The corpus folder.
            resources: Workers and what each reserves.
            scratch: Where Ray Train may write.
        """
        self._study, self._corpus, self._resources, self._scratch = (
            study,
            corpus,
            resources,
            scratch,
        )
        self._begin(config["number"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begins the next trial."""
        self.give_up()
        self._begin(new_config["number"])
        return True

    def step(self) -> dict[str, Any]:
        """Waits for the next report."""
        result = next(self._results, None)
        return finished() if result is None else result

    def give_up(self) -> None:
        """Ends the run, if it has not ended: nobody waits for what is left of the trial."""
        self._run.give_up()

    def cleanup(self) -> None:
        """Leaves no run behind."""
        self.give_up()

    def _begin(self, number: int) -> None:
        trial = self._study.trial(number)
        told = last_reported_step(trial)
        self._run = TrainRun(_trainer(trial, self._corpus, self._resources, self._scratch))
        self._results = results(
            trial, told, self._run, POLL_S if self._study.path.is_local else STORED_POLL_S
        )


def last_reported_step(trial: TrialFolder) -> int:
    """Up to which step the reports of a trial were told, before a run begins that goes on with
    it.
    """
    ending = trial.ending()
    # A run for a trial that has ended trains nothing: what is missing is that its end is told.
    return trial.newest_step() or 0 if ending is None else ending.step - 1


def results(
    trial: TrialFolder, told: int, run: TrainRun, poll_s: float
) -> Generator[dict[str, Any], None, None]:
    """The reports of a run in step order, each once: workers that are tried again repeat some.

    Args:
        trial: The trial that the run trains.
        told: The step up to which they are known.
        run: The run.
        poll_s: Seconds between two looks at the trial's log.
    """
    running = True
    while running:
        running = run.running
        kept = trial.newest_step() or 0
        # The log is read only where a report is new: a line counts once its checkpoint is there,
        # because until then workers may be lost that would have to take the steps again. A
        # divergence has none, and ends the run.
        for entry in trial.log() if kept > told or not running else ():
            if entry.step > told and (entry.step <= kept or entry.outcome == "diverged"):
                told = entry.step
                yield as_result(entry)
        time.sleep(poll_s if running else 0)
    error = run.failure()
    if error is not None:
        # The workers had their attempts; what is left for Tune to retry is the death of this actor,
        # or of the controller.
        yield failed(final_error(error) or _last_line(error))


def _trainer(
    trial: TrialFolder, corpus: StoragePath, resources: Resources, scratch: str
) -> TrialTrainer:
    return TrialTrainer(
        _train,
        train_loop_config={
            "study": str(trial.study),
            "corpus": str(corpus),
            "number": trial.number,
            "threads": resources.threads,
        },
        backend_config=ProcessGroup(COLLECTIVE_TIMEOUT_S),
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
            failure_config=FailureConfig(
                max_failures=resources.max_failures, controller_failure_limit=CONTROLLER_FAILURES
            ),
        ),
    )


def _train(task: dict[str, Any]) -> None:
    """Runs in every worker: only there, what trains is imported."""
    from cluster.train.worker import train_worker

    train_worker(task)


def worker_resources(resources: Resources) -> dict[str, float]:
    """What one worker reserves."""
    reserved = {"CPU": resources.cpus_per_worker}
    return {**reserved, "GPU": resources.gpus_per_worker} if resources.gpus_per_worker else reserved


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
