"""How far the trials of a study have come, for its budget, without reading every log again."""

from __future__ import annotations

from collections.abc import Iterable

from optuna.trial import FrozenTrial, TrialState

from study.files import Place
from study.trial_folder import TrialFolder


class Spending:
    """Steps and seconds of the trials that a study has started. The log of a trial that has ended is read once.

    Args:
        study: The study folder.
    """

    def __init__(self, study: Place) -> None:
        self._study = study
        self._ended: dict[int, tuple[int, float]] = {}

    def of_started(self, trials: Iterable[FrozenTrial]) -> list[tuple[int, float]]:
        """Optimizer steps and seconds that each started trial was trained in this study.

        Args:
            trials: Every trial of the study.
        """
        spent = []
        for trial in trials:
            if trial.state == TrialState.WAITING:
                continue
            used = self._ended.get(trial.number) or TrialFolder(self._study, trial.number).trained_here()
            if trial.state.is_finished():
                self._ended[trial.number] = used
            if used[0] or trial.state == TrialState.RUNNING:
                spent.append(used)
        return spent
