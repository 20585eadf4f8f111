"""Optuna's user attributes, with typed readers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from optuna.trial import FrozenTrial, TrialState

from cpc_core.report import Outcome
from search_spaces.space import Sample


def untrainable_attributes(sample: Sample, seed: int) -> dict[str, object]:
    """What the Optuna trial remembers of a proposal that is never trained: it has no identity."""
    return {"seed": seed, "knobs": dict(sample), "trial_id": "", "cell_id": ""}


def has_attributes(trial: FrozenTrial) -> bool:
    """Whether an Optuna trial remembers what it is of. One that is being proposed has none of it
    yet, or not all.
    """
    return "cell_id" in trial.user_attrs


_UNFINISHED: dict[TrialState, Outcome] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
}


def stored_outcome(trial: FrozenTrial) -> Outcome:
    """How a trial stands in the store."""
    if trial.state in _UNFINISHED:
        return _UNFINISHED[trial.state]
    return cast(Outcome, trial.user_attrs["ending"]["outcome"])


CANCELLED_BY_USER = "cancelled by the user"
"""Reason of such a trial. It tells it from a trial that was cancelled because another one has the
same configuration.
"""


RETRY_OF, CONTINUES = "retry_of", "continues"
"""User attributes of a retry: the trial that it stands in for, and the step of that one's training
from which it goes on, if it does.
"""


def successors(trials: Iterable[FrozenTrial]) -> dict[int, int]:
    """Number of each trial that was retried → number of its retry."""
    return {
        trial.user_attrs[RETRY_OF]: trial.number for trial in trials if RETRY_OF in trial.user_attrs
    }
