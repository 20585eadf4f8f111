"""How far the trials of a study have come, for its budget, without reading every log again."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from study.trial_folder import TrialFolder


class Spending:
    """Steps and seconds of the trials that a study has started. The log of a trial that has ended is read once.

    Args:
        study: The study folder.
    """

    def __init__(self, study: Path) -> None:
        self._study = study
        self._ended: dict[int, tuple[int, float] | None] = {}

    def of_started(self, trials: Iterable[FrozenTrial], live: Container[int]) -> list[tuple[int, float]]:
        """Optimizer steps and seconds of training of each started trial.

        Args:
            trials: Every trial of the study.
            live: Numbers of those that were handed out, started though they may not have reported yet.
        """
        spent = []
        for trial in trials:
            if trial.state == TrialState.WAITING:
                continue
            if trial.state.is_finished():
                if trial.number not in self._ended:
                    self._ended[trial.number] = self._logged(trial.number)
                used = self._ended[trial.number]
            else:
                used = self._logged(trial.number) or ((0, 0.0) if trial.number in live else None)
            if used is not None:
                spent.append(used)
        return spent

    def _logged(self, number: int) -> tuple[int, float] | None:
        log = TrialFolder(self._study, number).log()
        return (log[-1].step, log[-1].elapsed_s) if log else None
