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
    """Something that happened in a running study, for live progress.

    Attributes:
        kind: A trial started, reported, or ended; or it was left where it is because the study is
            stopped, to go on another time.
        assignment: The trial.
        step: Optimizer steps it has taken.
        metrics: Its latest metrics.
        outcome: How it stands.
        reason: Why, where that is not plain success.
        ended: Trials of the study that have ended, this one included.
        planned: Trials the study asks for in all.
    """

    kind: EventKind
    assignment: TrialSpec
    step: int
    metrics: Mapping[str, float]
    outcome: Outcome
    reason: str
    ended: int
    planned: int


@dataclass(frozen=True)
class Notice:
    """A change of what a running study is asked to do, for live progress.

    Attributes:
        wanted: What it is asked now.
        by_signal: Whether a signal asked, so that a second one ends the study at once.
        running: Trials that are running.
        report_s: Seconds that the latest report of a trial took, None before the second one.
    """

    wanted: Desired
    by_signal: bool
    running: int
    report_s: float | None
