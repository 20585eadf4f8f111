"""A Ray Train run that is light to start: its controller is no process of its own, but a loop in the trial's actor.

Ray Train gives every run an actor for its controller, one for its datasets and one to pass reports to Tune, and
`TorchTrainer` imports torch in all that surrounds the workers. On two cores these are seconds of every trial. The controller
is what frees a stopped trial's workers, through an actor that outlives it; here it is the trial's actor that is watched.
"""

from __future__ import annotations

import asyncio
from typing import Any

import ray.tune
from ray.train import Checkpoint, Result
from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.execution.context import TrainRunContext
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2.api.callback import UserCallback
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from cluster.failures import OnceIfFinal


class TrainRun(DataParallelTrainer):
    """A run without datasets of its own, which does not try again what cannot help."""

    def _create_default_callbacks(self) -> list[Any]:
        return [callback for callback in super()._create_default_callbacks() if not isinstance(callback, DatasetsCallback)]

    def _initialize_and_run_controller(self, **arguments: Any) -> Result:
        policy = OnceIfFinal(arguments["failure_policy"].failure_config)
        controller = TrainController(**{**arguments, "failure_policy": policy})
        asyncio.run(controller.run())
        return controller.get_result()


class ToTune(UserCallback):
    """Passes each report of the first worker on to Tune, in whose process the controller runs."""

    def after_report(self, run_context: TrainRunContext, metrics: list[dict[str, Any]], checkpoint: Checkpoint | None) -> None:
        """Returns once Tune has taken it in."""
        ray.tune.report(metrics[0])
