"""Reports in the form in which Tune passes them to the driver, without torch."""

from __future__ import annotations

from typing import Any

from cpc_core.report import Report

CRASHED = "crashed"
"""Outcome of an attempt whose workers died: the trial itself has not ended."""


UNWRITABLE = "unwritable"
"""Outcome of an attempt that could not write: not the trial's fault, which stays resumable."""


PAUSED = "paused"
"""Outcome of an attempt that has ended between two reports, by request: the trial is resumable."""


def as_result(report: Report) -> dict[str, Any]:
    """Result for a report of a trial."""
    return {
        "step": report.step,
        "outcome": report.outcome,
        "reason": report.reason,
        "metrics": dict(report.metrics),
    }


def failed(error: object) -> dict[str, Any]:
    """Result of a trial that another attempt cannot save: a final outcome."""
    return {"outcome": "failed", "reason": str(error)}


def crashed(error: Exception) -> dict[str, Any]:
    """Result of an attempt that another one may repair, with the last line of its error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return {"outcome": CRASHED, "reason": lines[-1] if lines else type(error).__name__}


def unwritable(error: OSError) -> dict[str, Any]:
    """Result of an attempt whose disk is full or read-only."""
    return {"outcome": UNWRITABLE, "reason": error.strerror or str(error)}


def paused(step: int) -> dict[str, Any]:
    """Result of an attempt that ended between two reports, with a checkpoint at that step."""
    return {"outcome": PAUSED, "step": step}


def finished() -> dict[str, Any]:
    """Result after the last report. Tune writes into results, so that each is a dict of its own."""
    return {"done": True}
