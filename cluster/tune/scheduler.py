"""Ray Tune's scheduler over the dispatcher: prunes trials and applies control requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from cluster.tune.control import ControlLoop
from cluster.tune.searcher import StudySearcher

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController


class StudyScheduler(FIFOScheduler):
    """Runs trials in order and stops those that the study's pruner stops, or the user.

    The storage keeps the pruner's state, so that its rungs survive the driver. The scheduler, not
    the searcher, receives the results: Tune does not pass a searcher the result at which a trial is
    stopped.

    Args:
        search: Of the running trials.
        control: Applied at every turn of Tune's loop, at which Tune asks its scheduler for a trial.
    """

    def __init__(self, search: StudySearcher, control: ControlLoop) -> None:
        super().__init__()
        self._search, self._control = search, control

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles schedulers into its own folder, which is thrown away."""
        return {}

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        self._control.step(tune_controller)
        return super().choose_trial_to_run(tune_controller)

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        # A trainable that returns makes Tune repeat its last result, marked as done.
        stop = not result["done"] and self._search.record(trial.trial_id, result)
        return TrialScheduler.STOP if stop else TrialScheduler.CONTINUE
