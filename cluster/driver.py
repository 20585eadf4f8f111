"""What runs in the Tune actor of a trial with several workers: one Ray Train run."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import ray.tune
from ray.train.v2.api.config import FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.api.exceptions import TrainingFailedError
from ray.tune.integration.ray_train import TuneReportCallback

from cluster.failures import final_error
from cluster.process_group import ProcessGroup, TrialTrainer
from cpc_core.corpus.location import Location
from study.files import Place
from study.spec import Resources
from study.trial_folder import TrialFolder

COLLECTIVE_TIMEOUT_S = 600
"""How long a worker waits for the others. Rank 0 alone fits the probe at the end, the longest they are apart."""

CONTROLLER_FAILURES = 2
"""How often the Ray Train controller itself may fail; its default is for ever."""

ACTOR_RESOURCES: dict[str, float] = {"CPU": 0, "memory": 64 * 2**20}
"""What a trial's own process reserves: no CPU, those belong to its workers, but Tune refuses to reserve nothing at all.
How many trials there are is bounded by the search."""


def nested_trials(study: Place, corpus: Location, resources: Resources, scratch: str) -> Any:
    """The trainable of trials that are Ray Train runs.

    Args:
        study: The study folder, at this path or URI on every node.
        corpus: The corpus folder, at this path or URI on every node.
        resources: Workers and what each reserves.
        scratch: Where Ray Train may write, seen by every node.
    """
    trainable = ray.tune.with_parameters(train_trial, study=study, corpus=corpus, resources=resources, scratch=scratch)
    return ray.tune.with_resources(trainable, ACTOR_RESOURCES)


def train_trial(assigned: dict[str, Any], study: Place, corpus: Location, resources: Resources, scratch: str) -> None:
    """Trains one trial to its end.

    Args:
        assigned: `number`: the trial, whose folder holds its configuration.
        study: The study folder.
        corpus: The corpus folder.
        resources: Workers and what each reserves.
        scratch: Where Ray Train may write.
    """
    trial = TrialFolder(study, assigned["number"])
    trainer = TrialTrainer(
        _train,
        train_loop_config={"study": str(study), "corpus": str(corpus), "number": trial.number, "threads": resources.threads},
        backend_config=ProcessGroup(COLLECTIVE_TIMEOUT_S),
        scaling_config=ScalingConfig(
            num_workers=resources.workers,
            use_gpu=resources.gpus_per_worker > 0,
            resources_per_worker=worker_resources(resources),
        ),
        run_config=RunConfig(  # type: ignore[arg-type]  # Ray declares the class of the former API and refuses it
            # A name of its own for every attempt: Ray Train would read what an earlier one of the same name had left.
            name=f"{trial.name}-{uuid4().hex}",
            storage_path=scratch,
            callbacks=[TuneReportCallback()],
            failure_config=FailureConfig(max_failures=resources.max_failures, controller_failure_limit=CONTROLLER_FAILURES),
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        # The workers had their attempts; what is left for Tune to retry is the death of this actor.
        ray.tune.report({"outcome": "failed", "reason": str(final_error(error) or _last_line(error))})


def _train(task: dict[str, Any]) -> None:
    """Runs in every worker: only there, what trains is imported."""
    from cluster.worker import train_worker

    train_worker(task)


def worker_resources(resources: Resources) -> dict[str, float]:
    """What one worker reserves."""
    reserved = {"CPU": resources.cpus_per_worker}
    return {**reserved, "GPU": resources.gpus_per_worker} if resources.gpus_per_worker else reserved


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
