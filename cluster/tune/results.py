"""Reports in the form in which Tune hands them to the driver. Nothing here imports torch: a trial's
actor need not.
"""

from __future__ import annotations

from typing import Any

from cpc_core.report import Report


def as_result(report: Report) -> dict[str, Any]:
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
