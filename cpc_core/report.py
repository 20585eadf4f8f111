"""Reports: the status of a trial at a step, the same value from training to figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cpc_core.evaluation.clip_scores import ClipScores

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
        clip_scores: The probe's scores by clip, of a complete trial; not in the log.
    """

    step: int
    metrics: Mapping[str, float]
    outcome: Outcome = "running"
    reason: str = ""
    elapsed_s: float = 0.0
    clip_scores: ClipScores | None = field(default=None, compare=False, repr=False)

    @property
    def final(self) -> FinalOutcome | None:
        """Outcome of a trial that has ended; None while it waits or runs."""
        return None if self.outcome == "waiting" or self.outcome == "running" else self.outcome
