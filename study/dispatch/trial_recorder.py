"""Writes into the Optuna study how the trials of one driver go: what they are of, their values, and
how they end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.pruners import NopPruner
from optuna.trial import FrozenTrial, Trial, TrialState

from cpc_core.report import FinalOutcome, Report
from study.spec.objectives import ObjectiveSpec


class TrialRecorder:
    """The trials that a driver is training, or about to.

    Args:
        study: The Optuna study.
        objectives: What its trials are measured by; the first one's value is recorded at every
            report.
    """

    def __init__(self, study: optuna.Study, objectives: tuple[ObjectiveSpec, ...]) -> None:
        self._study, self._objectives = study, objectives
        self._live: dict[int, Trial] = {}
        self._reported: dict[int, set[int]] = {}

    def __contains__(self, number: int) -> bool:
        """Whether a trial is this driver's."""
        return number in self._live

    def begin(self, trial: Trial) -> None:
        """Takes on a running trial, which may have values already."""
        self._live[trial.number] = trial
        self._reported[trial.number] = set(
            self._study._storage.get_trial(trial._trial_id).intermediate_values
        )

    def describe(self, number: int, description: Mapping[str, object]) -> None:
        """Stores what a trial is of, as far as it is not stored yet, in the order of the
        description.
        """
        trial = self._live[number]
        for name, value in description.items():
            if name not in trial.user_attrs:
                trial.set_user_attr(name, value)

    def attributes(self, number: int) -> Mapping[str, Any]:
        """What is stored of what a trial is of."""
        return self._live[number].user_attrs

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        """Records the first objective's value at a step; the first value of a step stays, so that a
        repeat changes nothing.
        """
        value = metrics.get(self._objectives[0].metric)
        if value is None or step in self._reported[number]:
            return
        self._reported[number].add(step)
        trial = self._live[number]
        if len(self._objectives) == 1:
            trial.report(value, step)
        else:
            # Optuna's Trial takes no reports towards several objectives; its storages do.
            self._study._storage.set_trial_intermediate_value(trial._trial_id, step, value)

    def should_prune(self, number: int) -> bool:
        """Whether the pruner gives the trial up, judged from what the study knows of all trials."""
        return not isinstance(self._study.pruner, NopPruner) and self._live[number].should_prune()

    def end(
        self,
        number: int,
        outcome: FinalOutcome,
        metrics: Mapping[str, float],
        reason: str,
        log: Iterable[Report],
    ) -> None:
        """Ends a trial.

        Args:
            number: The trial.
            outcome: How it ended. Only `complete` gives the trial a final value; without finite
                objectives it is a failure.
            metrics: Final metrics of a complete trial, the latest ones otherwise.
            reason: Why, where the outcome is not plain success.
            log: Its reports, some of which may not be recorded yet.
        """
        for entry in log:
            self.report(number, entry.step, entry.metrics)
        values = {objective.metric: metrics.get(objective.metric) for objective in self._objectives}
        missing = next(
            (name for name, value in values.items() if value is None or not math.isfinite(value)),
            None,
        )
        if outcome == "complete" and missing is not None:
            outcome, reason = (
                "failed",
                f"the final report gives no finite {missing}, but {values[missing]}",
            )
        trial = self._live.pop(number)
        del self._reported[number]
        trial.set_user_attr("ending", _ending(outcome, reason, metrics))
        if outcome == "complete":
            self._study.tell(trial, [value for value in values.values() if value is not None])
        else:
            self._study.tell(
                trial, state=TrialState.PRUNED if outcome == "pruned" else TrialState.FAIL
            )

    def cancel_waiting(self, trial: FrozenTrial, reason: str) -> None:
        """Ends a trial that was never started."""
        storage = self._study._storage
        storage.set_trial_user_attr(trial._trial_id, "ending", _ending("cancelled", reason, {}))
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)


def _ending(outcome: FinalOutcome, reason: str, metrics: Mapping[str, float]) -> dict[str, object]:
    return {"outcome": outcome, "reason": reason, "metrics": dict(metrics)}
