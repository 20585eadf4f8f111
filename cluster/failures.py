"""Which failures of a Ray Train run are final."""

from __future__ import annotations

from ray.train.v2._internal.execution.failure_handling import DefaultFailurePolicy, FailureDecision
from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError

from cpc_core.errors import CpcError


def final_error(error: TrainingFailedError) -> CpcError | None:
    """The error of ours that a worker met, of the lowest rank where several did. None for a crash, which may pass."""
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
