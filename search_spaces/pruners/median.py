"""The median rule."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cpc_core.config import Section


class MedianPruner(Section):
    """Stops a trial whose report is worse than the median of the earlier trials at the same
    step.
    """

    kind: Literal["median"] = "median"

    startup_trials: int = Field(default=4, ge=1)
    """Trials that must have ended before any is stopped."""

    warmup_steps: int = Field(default=0, ge=0)
    """Optimizer steps during which no trial is stopped."""
