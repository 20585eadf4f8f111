"""Reports: the status of a trial at a step, from training to figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Standing = Literal["running", "complete", "diverged"]


@dataclass(frozen=True)
class Progress:
    """How a trial stands at a report.

    Attributes:
        step: Optimizer steps taken.
        metrics: The metrics log's entry, by the names of `study.results.records`.
        outcome: `complete` after the last step, `diverged` when it cannot go on.
        reason: Why it diverged.
    """

    step: int
    metrics: dict[str, float]
    outcome: Standing = "running"
    reason: str = ""


Outcome = Literal["waiting", "running", "complete", "pruned", "diverged", "failed", "cancelled"]
"""How a trial stands or ended. `diverged` covers non-finite losses and collapse to the constant
answer.
"""


@dataclass(frozen=True)
class Report:
    """One entry of a trial's metrics log.

    Attributes:
        step: Optimizer steps taken.
        metrics: Metric name → value; training metrics are means since the last entry.
    """

    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class LogEntry:
    """One line of the metrics log.

    Attributes:
        step: Optimizer steps taken.
        metrics: Metric name → value.
        outcome: `running`, or how the training ended; only a trial's last line has the latter.
        reason: Why it ended, where that is not plain success.
        elapsed_s: Seconds of training so far, over all attempts.
    """

    step: int
    metrics: Mapping[str, float]
    outcome: Outcome
    reason: str
    elapsed_s: float

    @property
    def report(self) -> Report:
        """The part that analysis reads."""
        return Report(self.step, self.metrics)
