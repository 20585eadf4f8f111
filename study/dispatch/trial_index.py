"""Counts and look-ups over all trials of a study, which decide what is dispatched next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from optuna.trial import FrozenTrial, TrialState

from study.spec.study_spec import StudySpec
from study.storage.attributes import CANCELLED_BY_USER, TrialAttributes, outcome_of, successors

UNTRAINED = ("waiting", "failed", "cancelled")
"""Outcomes after which another trial of the same configuration is trained.

A trial that the user cancelled is the exception.
"""


def ended(trials: Sequence[FrozenTrial]) -> int:
    """Number of trials that have ended, without those that were retried."""
    return sum(trial.state.is_finished() for trial in trials) - len(successors(trials))


def proposed(trials: Iterable[FrozenTrial]) -> int:
    """Number of configurations that were proposed; replicates repeat one of them."""
    return sum(TrialAttributes.of(trial).point is None for trial in trials)


def waits(trials: Iterable[FrozenTrial]) -> bool:
    """True if a trial waits to be started."""
    return any(trial.state == TrialState.WAITING for trial in trials)


def same_configuration(
    trials: Sequence[FrozenTrial], trial_id: str, number: int, begun: Callable[[int], bool]
) -> int | None:
    """Number of another trial that trains, or has trained, a configuration.

    Args:
        trials: Every trial of the study.
        trial_id: Of the configuration.
        number: Of the trial that is to be trained.
        begun: True if the training of a running trial was begun. A crash can leave a repeat marked
            as running before it is found to be one; it must not end the trial that it repeats.
    """
    retried = successors(trials)
    for trial in trials:
        if trial.number == number or trial.number in retried:
            continue
        if (
            TrialAttributes.of(trial).trial_id == trial_id
            and _blocks(trial)
            and (trial.state.is_finished() or begun(trial.number))
        ):
            return trial.number
    return None


def _blocks(trial: FrozenTrial) -> bool:
    """True if a trial keeps another one of its configuration from being trained."""
    outcome, ending = outcome_of(trial), TrialAttributes.of(trial).ending
    by_user = outcome == "cancelled" and ending is not None and ending.reason == CANCELLED_BY_USER
    return by_user or outcome not in UNTRAINED


def wilcoxon_verdict(trials: Iterable[FrozenTrial], cell_id: str, spec: StudySpec) -> str | None:
    """Reason to train no further seed of a cell; None without one, or without that pruner."""
    if spec.pruner.judges != "finals":
        return None
    sign = 1.0 if spec.objectives[0].direction == "maximize" else -1.0
    values: dict[str, dict[int, float]] = {}
    for trial in trials:
        if trial.state == TrialState.COMPLETE and trial.value is not None:
            stored = TrialAttributes.of(trial)
            values.setdefault(stored.cell_id, {})[stored.seed] = sign * trial.value
    return spec.pruner.verdict(values, cell_id)
