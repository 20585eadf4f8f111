"""The points that the model of a long search is made from, so that a proposal takes no longer after a thousand of them."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

BEST = 10
"""One in so many of the points kept is there for its value: as many as Optuna's TPE calls good."""


def shortlist(trials: Sequence[FrozenTrial], direction: StudyDirection, most: int) -> list[FrozenTrial]:
    """The best of the trials and then the newest, `most` in all of those that ended with a value; trials that still run all stay.

    TPE models the good points, and the others to tell the good ones from. Of the others it weighs the older ones less and less.

    Args:
        trials: In the order of their numbers, which is kept.
        direction: Which values are better.
        most: How many complete or pruned trials to keep.
    """
    valued = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    if len(valued) <= most:
        return list(trials)
    sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
    kept = {trial.number for trial in heapq.nsmallest(most // BEST, valued, key=lambda trial: _rank(trial, sign))}
    for trial in reversed(valued):
        if len(kept) == most:
            break
        kept.add(trial.number)
    return [trial for trial in trials if trial.number in kept or not trial.state.is_finished()]


def _rank(trial: FrozenTrial, sign: float) -> tuple[int, int, float]:
    """Best first, as TPE ranks: complete trials by their value, then pruned ones by how far they came and what they showed there."""
    if trial.value is not None and trial.state == TrialState.COMPLETE:
        return 0, 0, sign * trial.value
    if trial.last_step is None:
        return 2, 0, 0.0
    value = trial.intermediate_values[trial.last_step]
    return 1, -trial.last_step, math.inf if math.isnan(value) else sign * value
