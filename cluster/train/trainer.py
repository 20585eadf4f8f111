"""The process group of a trial's workers, and when to try them again: a Ray Train run that is light
to start.

Ray Train's own `TorchTrainer` imports torch in the trial's actor and in the run's controller, which
train nothing. On two cores that is seconds of every trial. Here only workers import it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import ray
from ray.exceptions import GetTimeoutError
from ray.train import Result
from ray.train._internal.base_worker_group import BaseWorkerGroup
from ray.train._internal.utils import get_address_and_port
from ray.train.backend import Backend, BackendConfig
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.failure_handling import DefaultFailurePolicy, FailureDecision
from ray.train.v2.api.callback import RayTrainCallback
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError

from cpc_core.errors import CpcError

NODE_ID = "ray.io/node-id"
"""Label by which Ray names a node."""


DISCONNECT_S = 5.0
"""How long workers may take to part; those that cannot are killed anyway."""


class TrialTrainer(DataParallelTrainer):
    """A Ray Train run that can be aborted, that does not try again what cannot help, and that
    starts no process for datasets.

    Ray Train has no settings for these.

    Attributes:
        controller: The actor that leads the workers, None before it is there.
    """

    controller: Any = None

    def _create_default_callbacks(self) -> list[RayTrainCallback]:
        return [
            callback
            for callback in super()._create_default_callbacks()
            if not isinstance(callback, DatasetsCallback)
        ]

    def _initialize_and_run_controller(self, **arguments: Any) -> Result:
        policy = OnceIfFinal(arguments["failure_policy"].failure_config)
        here = {NODE_ID: ray.get_runtime_context().get_node_id()}
        # Without an environment of its own, so that it can start in a process that Ray has ready.
        controller: Any = ray.remote(num_cpus=0, label_selector=here)(TrainController).remote(
            **{**arguments, "failure_policy": policy}
        )
        self.controller = controller
        ray.get(controller.run.remote())
        result: Result = ray.get(controller.get_result.remote())
        return result


@dataclass
class ProcessGroup(BackendConfig):
    """Connects the workers of a run, where it has several.

    Attributes:
        timeout_s: How long a worker waits for the others in a collective.
    """

    timeout_s: float

    @property
    def backend_cls(self) -> type[Backend]:
        return _Connection


class _Connection(Backend):
    share_cuda_visible_devices = True

    def on_start(self, worker_group: BaseWorkerGroup, backend_config: BackendConfig) -> None:
        world = len(worker_group)
        if world > 1:
            assert isinstance(backend_config, ProcessGroup)
            address, port = worker_group.execute_single(0, get_address_and_port)
            joining: list[Any] = [
                worker_group.execute_single_async(
                    rank, _connect, address, port, rank, world, backend_config.timeout_s
                )
                for rank in range(world)
            ]
            ray.get(joining)

    def on_shutdown(self, worker_group: BaseWorkerGroup, backend_config: BackendConfig) -> None:
        if len(worker_group) > 1:
            parting: list[Any] = worker_group.execute_async(_disconnect)
            with suppress(GetTimeoutError):
                ray.get(parting, timeout=DISCONNECT_S)


def _connect(address: str, port: int, rank: int, world: int, timeout_s: float) -> None:
    import torch
    import torch.distributed as dist

    backend = "nccl" if torch.cuda.is_available() else "gloo"
    os.environ.update(MASTER_ADDR=address, MASTER_PORT=str(port))
    dist.init_process_group(
        backend, rank=rank, world_size=world, timeout=timedelta(seconds=timeout_s)
    )


def _disconnect() -> None:
    import torch.distributed as dist

    dist.destroy_process_group()


def final_error(error: TrainingFailedError) -> CpcError | None:
    """The error of ours that a worker met, of the lowest rank where several did. None for a crash,
    which may pass.
    """
    if not isinstance(error, WorkerGroupError):
        return None
    failures = [error.worker_failures[rank] for rank in sorted(error.worker_failures)]
    return next((failure for failure in failures if isinstance(failure, CpcError)), None)


class OnceIfFinal(DefaultFailurePolicy):
    """Tries again after crashes, but not where that cannot help.

    A worker that is lost makes the others fail, too, so that one final error among them decides.
    """

    def make_decision(self, training_failed_error: TrainingFailedError) -> FailureDecision:
        """Raises the error in the trial's process, or starts the workers again."""
        if final_error(training_failed_error) is not None:
            return FailureDecision.RAISE
        return super().make_decision(training_failed_error)
