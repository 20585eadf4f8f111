"""Ray Train run of a trial, described without torch, which only the workers import."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from ray.train.v2.api.config import FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from cluster.stop_flag import StopFlag
from cpc_core.storage_path import StoragePath
from study.folders.trial_folder import TrialFolder
from study.spec.resources import Resources

CONTROLLER_FAILURES = 2
"""Failures of the Ray Train controller itself that a run survives; the default is any number."""


def trainer(
    trial: TrialFolder,
    flag: StopFlag,
    corpus: StoragePath,
    resources: Resources,
    scratch: str,
    grace_s: float | None,
) -> DataParallelTrainer:
    """Trainer of one attempt at a trial.

    `TorchTrainer` would import torch in the trial's actor and in Ray Train's controller, before the
    workers start: seconds of each run. Its part, the process group, is the workers' own
    (`cluster.train.process_group`).

    Args:
        trial: The trial, in a study folder at this path or URI on every node.
        flag: The attempt's stop flag.
        corpus: The corpus folder, at this path or URI on every node.
        resources: Workers and what each reserves.
        scratch: Folder in which Ray Train may write, seen by every node.
        grace_s: Seconds in which the trial has to end once the study is stopped, if limited.
    """
    return DataParallelTrainer(
        _train,
        train_loop_config={
            "trial": trial,
            "flag": flag,
            "corpus": corpus,
            "threads": resources.threads,
            "grace_s": grace_s,
            "scratch": scratch,
        },
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


def worker_resources(resources: Resources) -> dict[str, float]:
    """Reservation of one worker."""
    reserved = {"CPU": resources.cpus_per_worker}
    return {**reserved, "GPU": resources.gpus_per_worker} if resources.gpus_per_worker else reserved


def _train(attempt: dict[str, Any]) -> None:
    """Runs in every worker: only there, what trains is imported."""
    from cluster.train.worker import train_worker

    train_worker(**attempt)
