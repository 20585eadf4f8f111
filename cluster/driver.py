"""What runs in a trial's Tune actor: one Ray Train run, named after the trial so that it finds its own checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ray.tune
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2.api.config import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.api.exceptions import TrainingFailedError
from ray.tune.integration.ray_train import TuneReportCallback

from cluster.worker import train_worker
from cpc_core.corpus.location import Location
from study.spec import Resources
from study.trial_folder import TrialFolder

COLLECTIVE_TIMEOUT_S = 600
"""How long a worker waits for the others. Rank 0 alone fits the probe at the end, the longest they are apart."""

CONTROLLER_FAILURES = 2
"""How often the Ray Train controller itself may fail; its default is for ever."""

_SNAPSHOT = "checkpoint_manager_snapshot.json"


def train_trial(assigned: dict[str, Any], study: Path, corpus: Location, resources: Resources) -> None:
    """Trains one trial to its end.

    Args:
        assigned: `number`: the trial, whose folder holds its configuration.
        study: The study folder, at this path on every node.
        corpus: The corpus folder, at this path or URI on every node.
        resources: Workers and what each reserves.
    """
    folder = TrialFolder(study, assigned["number"])
    drop_torn_snapshot(folder.path / _SNAPSHOT)
    trainer = TorchTrainer(
        train_worker,
        train_loop_config={
            "study": str(study),
            "corpus": str(corpus),
            "number": folder.number,
            "threads": max(1, int(resources.cpus_per_worker)),
        },
        torch_config=TorchConfig(timeout_s=COLLECTIVE_TIMEOUT_S),
        scaling_config=ScalingConfig(
            num_workers=resources.workers,
            use_gpu=resources.gpus_per_worker > 0,
            resources_per_worker=worker_resources(resources),
        ),
        run_config=RunConfig(  # type: ignore[arg-type]  # Ray declares the class of the former API and refuses it
            name=folder.name,
            storage_path=str(folder.path.parent),
            callbacks=[TuneReportCallback()],
            checkpoint_config=CheckpointConfig(num_to_keep=2),
            failure_config=FailureConfig(max_failures=resources.max_failures, controller_failure_limit=CONTROLLER_FAILURES),
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        # The workers had their attempts; what is left for Tune to retry is the death of this actor.
        ray.tune.report({"outcome": "failed", "reason": _last_line(error)})


def worker_resources(resources: Resources) -> dict[str, float]:
    """What one Ray Train worker reserves."""
    reserved = {"CPU": resources.cpus_per_worker}
    return {**reserved, "GPU": resources.gpus_per_worker} if resources.gpus_per_worker else reserved


def drop_torn_snapshot(snapshot: Path) -> None:
    """Removes Ray Train's list of checkpoints if a kill left it half written; the run would refuse to start for ever."""
    try:
        json.loads(snapshot.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        snapshot.unlink()


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
