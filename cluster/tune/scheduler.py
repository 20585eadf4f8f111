"""Carries out what the user asks of a running study, by a signal or by its control file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from cluster.tune.control import ControlLoop
from cluster.tune.searcher import StudySearcher

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController


class StorePruning(FIFOScheduler):
    """Runs trials in order and stops those that the store's pruner gives up.

    The store keeps what a pruner knows, so that its rungs survive the driver. The scheduler, not
    the searcher, takes the results in: Tune does not tell a searcher the result at which a trial is
    stopped.
    """

    def __init__(self, search: StudySearcher) -> None:
        super().__init__()
        self._search = search

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles schedulers into its own folder, which is thrown away."""
        return {}

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        # A trainable that returns makes Tune repeat its last result, marked as done.
        stop = not result["done"] and self._search.record(trial.trial_id, result)
        if stop and (actor := trial.temporary_state.ray_actor) is not None:
            # Tune may keep the actor for a trial to come, and tells it nothing until there is one.
            actor.give_up.remote()
        return TrialScheduler.STOP if stop else TrialScheduler.CONTINUE


class StudyScheduler(StorePruning):
    """Prunes as the store says, and carries out orders: Tune asks its scheduler at every turn of
    its loop.
    """

    def __init__(self, search: StudySearcher, steering: ControlLoop) -> None:
        super().__init__(search)
        self._steering = steering

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        self._steering.step(tune_controller)
        return super().choose_trial_to_run(tune_controller)
