"""Events of a running study, for live progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cpc_core.report import Outcome
from study.control.requests import Desired
from study.dispatch.trial_spec import TrialSpec

EventKind = Literal["started", "report", "ended", "left"]


@dataclass(frozen=True)
class StudyEvent:
    """Start, report or end of a trial of a running study, for live progress.

    Attributes:
        kind: `left`: the trial is resumable, because the study is stopped.
        trial: The trial.
        step: Optimizer steps it has taken.
        metrics: Its latest metrics.
        outcome: Its status.
        reason: Why, unless it is plain success.
        ended: Trials of the study that have ended, this one included.
        planned: Trials of the study in all.
    """

    kind: EventKind
    trial: TrialSpec
    step: int
    metrics: Mapping[str, float]
    outcome: Outcome
    reason: str
    ended: int
    planned: int


@dataclass(frozen=True)
class Notice:
    """Change of the control request to a running study, for live progress.

    Attributes:
        desired: What the study does now.
        by_signal: True if a signal requested it, so that a second one ends the study at once.
        running: Trials that are running.
        report_s: Seconds that the latest report of a trial took, None before the second one.
        grace_s: Seconds in which running trials have to end once the study is stopped, if limited.
    """

    desired: Desired
    by_signal: bool
    running: int
    report_s: float | None
    grace_s: float | None = None
