"""The median rule."""

from __future__ import annotations

from typing import Literal

import optuna
from pydantic import Field

from search_spaces.pruners.base import Pruner


class MedianPruner(Pruner):
    """Stops a trial whose report is worse than the median of the earlier trials at the same
    step.
    """

    kind: Literal["median"] = "median"

    startup_trials: int = Field(default=4, ge=1)
    """Trials that must have ended before any is stopped."""

    warmup_steps: int = Field(default=0, ge=0)
    """Optimizer steps during which no trial is stopped."""

    def build(self, longest: int) -> optuna.pruners.BasePruner:
        return optuna.pruners.MedianPruner(
            n_startup_trials=self.startup_trials, n_warmup_steps=self.warmup_steps
        )
