"""A Ray Train run beside what its process does otherwise."""

from __future__ import annotations

import threading
import time

import ray
from ray.exceptions import RayActorError
from ray.train.v2.api.exceptions import ControllerError, TrainingFailedError

from cluster.train.trainer import TrialTrainer

ABORT_S = 30.0
"""How long a run may take to end its workers, and to start before it can be told to; then its
controller is killed.
"""


class TrainRun:
    """Begins to run a trainer, in a thread.

    Args:
        trainer: What to run.
    """

    def __init__(self, trainer: TrialTrainer) -> None:
        self._trainer = trainer
        self._error: Exception | None = None
        self._given_up = False
        self._thread = threading.Thread(target=self._fit, name="train-run", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._thread.is_alive()

    def failure(self) -> TrainingFailedError | None:
        """Why it has failed, None if it has not.

        Raises:
            Exception: What else ended it, such as the death of its controller: trying again may
                help.
        """
        if isinstance(self._error, ControllerError) and isinstance(
            self._error.controller_failure, RayActorError
        ):
            # Ray Train takes up again what a worker leaves that dies in training, but not one that
            # dies just before.
            raise RuntimeError("a worker was lost while it was being started") from self._error
        if self._error is None or isinstance(self._error, TrainingFailedError):
            return self._error
        raise self._error

    def give_up(self) -> None:
        """Ends it, its workers first; returns once it is gone."""
        deadline = time.monotonic() + ABORT_S
        self._given_up = True
        while self._thread.is_alive() and time.monotonic() < deadline:
            if self._trainer.controller is not None:
                self._trainer.controller.abort.remote()
            self._thread.join(1.0)
        if self._thread.is_alive() and self._trainer.controller is not None:
            ray.kill(self._trainer.controller)
            self._thread.join()

    def _fit(self) -> None:
        try:
            self._trainer.fit()
        except RayActorError as error:
            # A controller that is told to abort ends its own process.
            self._error = None if self._given_up else error
        except Exception as error:
            self._error = error
