"""Reports in the form in which Tune hands them to the driver. Nothing here imports torch: a trial's
actor need not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Reported(Protocol):
    """What a report is made of, whether it has just been made or is read from a log."""

    @property
    def step(self) -> int: ...
    @property
    def outcome(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def metrics(self) -> Mapping[str, float]: ...


def as_result(report: Reported) -> dict[str, Any]:
    """A report of a trial."""
    return {
        "step": report.step,
        "outcome": report.outcome,
        "reason": report.reason,
        "metrics": dict(report.metrics),
    }


def failed(error: object) -> dict[str, Any]:
    """The result of a trial for which trying again cannot help, or has been tried: an ending, not a
    crash.
    """
    return {"outcome": "failed", "reason": str(error)}


def finished() -> dict[str, Any]:
    """What follows the last report. Tune writes into results, so that each is a dict of its own."""
    return {"done": True}
