"""Reports: the status of a trial at a step, the same value from training to figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FinalOutcome = Literal["complete", "pruned", "diverged", "failed", "cancelled"]
"""Outcome of a trial that has ended. `diverged` covers losses that are not finite and collapse to
the constant output.
"""

Outcome = Literal["waiting", "running"] | FinalOutcome
"""Status of a trial."""


@dataclass(frozen=True)
class Report:
    """Status of a trial at a step: one line of its metrics log.

    Attributes:
        step: Optimizer steps taken.
        metrics: Metric name → value; training metrics are means since the previous report.
        outcome: `running`, or how the training ended; only a trial's last line has the latter.
        reason: Why it ended, where that is not plain success.
        elapsed_s: Seconds of training so far, over all attempts.
    """

    step: int
    metrics: Mapping[str, float]
    outcome: Outcome = "running"
    reason: str = ""
    elapsed_s: float = 0.0

    @property
    def final(self) -> FinalOutcome | None:
        """Outcome of a trial that has ended; None while it waits or runs."""
        return None if self.outcome == "waiting" or self.outcome == "running" else self.outcome
