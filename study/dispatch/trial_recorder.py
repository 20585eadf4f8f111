"""Writes of one driver to its trials in the Optuna study: identity, reports and final outcome."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import optuna
from optuna.pruners import NopPruner
from optuna.storages import BaseStorage
from optuna.trial import Trial, TrialState

from cpc_core.report import FinalOutcome, Report
from study.spec.objectives import ObjectiveSpec
from study.storage.attributes import TrialAttributes, ending


class TrialRecorder:
    """The trials that a driver is training, or about to.

    Args:
        study: The Optuna study.
        storage: Its Optuna storage.
        objectives: Of the study; the first one's value is recorded at every report.
    """

    def __init__(
        self, study: optuna.Study, storage: BaseStorage, objectives: tuple[ObjectiveSpec, ...]
    ) -> None:
        self._study, self._storage, self._objectives = study, storage, objectives
        self._study_id = storage.get_study_id_from_name(study.study_name)
        self._live: dict[int, Trial] = {}
        self._reported: dict[int, set[int]] = {}

    def __contains__(self, number: int) -> bool:
        """True if a trial is this driver's."""
        return number in self._live

    def propose(self) -> Trial:
        """Starts the next queued trial, or a new one whose knobs the sampler proposes."""
        return self._begin(self._study.ask())

    def resume(self, number: int) -> Trial:
        """Takes a running trial, which may have reports already."""
        # Optuna has no other way to reopen one that a driver which crashed has left.
        return self._begin(Trial(self._study, self._id(number)))

    def _begin(self, trial: Trial) -> Trial:
        stored = self._storage.get_trial(self._id(trial.number))
        self._live[trial.number] = trial
        self._reported[trial.number] = set(stored.intermediate_values)
        return trial

    def describe(self, number: int, attributes: Mapping[str, object]) -> None:
        """Stores the attributes that are not stored yet, in their order."""
        trial = self._live[number]
        stored = trial.user_attrs
        for name, value in attributes.items():
            if name not in stored:
                trial.set_user_attr(name, value)

    def attributes(self, number: int) -> TrialAttributes:
        """Stored attributes of a trial."""
        return TrialAttributes.of(self._live[number])

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        """Records the first objective's value at a step, unless that step has one."""
        value = metrics.get(self._objectives[0].metric)
        if value is None or step in self._reported[number]:
            return
        self._reported[number].add(step)
        if len(self._objectives) == 1:
            self._live[number].report(value, step)
        else:
            # Optuna's Trial takes no reports towards several objectives; its storages do.
            self._storage.set_trial_intermediate_value(self._id(number), step, value)

    def should_prune(self, number: int) -> bool:
        """True if the pruner stops the trial, given the stored reports of all trials."""
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
            outcome: Only `complete` gives the trial a final value; without finite objectives it
                becomes `failed`.
            metrics: Final metrics of a complete trial, the latest ones otherwise.
            reason: Explanation of any outcome but plain success.
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
            outcome = "failed"
            reason = f"the final report gives no finite {missing}, but {values[missing]}"
        trial = self._live.pop(number)
        del self._reported[number]
        trial.set_user_attr(*ending(outcome, reason, metrics))
        if outcome == "complete":
            self._study.tell(trial, [value for value in values.values() if value is not None])
        else:
            state = TrialState.PRUNED if outcome == "pruned" else TrialState.FAIL
            self._study.tell(trial, state=state)

    def cancel_waiting(self, number: int, reason: str) -> None:
        """Ends a trial that was never started."""
        self._storage.set_trial_user_attr(self._id(number), *ending("cancelled", reason, {}))
        self._storage.set_trial_state_values(self._id(number), TrialState.FAIL)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
