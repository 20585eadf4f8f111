"""Live progress on stderr: a bar per trial on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from study.analysis.cost import duration_text
from study.analysis.labels import cell_name, count_text
from study.cli.output import message, stderr
from study.folders.study_folder import StudyFolder

if TYPE_CHECKING:
    from cluster.events import Notice, StudyEvent
    from cpc_core.config import CpcConfig
    from cpc_core.report import Report
    from cpc_core.step import StepMetrics
    from search_spaces.space import Sample


SMOOTHING = 0.95
"""Weight of the past in the shown loss and accuracy."""


REFRESH_S = 0.2
"""Seconds between updates of a line, so that short steps do not spend their time on the
terminal.
"""


class TrialProgress:
    """One training run: step, loss, CPC accuracy, clips per second and the time left.

    Args:
        folder: Named where the run is interrupted.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self.folder, self.steps_taken = folder, 0
        self._bar = Progress(
            TextColumn("step"), MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn(),
            console=stderr, transient=True,
        )  # fmt: skip
        self._task: TaskID | None = None
        self._loss = self._accuracy = 0.0
        self._started = self._shown = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        self._bar.stop()
        if kind is KeyboardInterrupt:
            message(
                f"interrupted; the same command goes on from the last checkpoint in {self.folder}"
            )

    def on_step(self, config: CpcConfig, step: int, measured: StepMetrics) -> None:
        """Shows one optimizer step."""
        if self._task is None:
            self._task = self._bar.add_task("", total=config.training.steps, completed=step - 1)
            self._started, self._loss, self._accuracy = (
                time.monotonic(),
                float(measured.loss),
                float(measured.accuracy),
            )
        self.steps_taken += 1
        self._loss += (1 - SMOOTHING) * (float(measured.loss) - self._loss)
        self._accuracy += (1 - SMOOTHING) * (float(measured.accuracy) - self._accuracy)
        now = time.monotonic()
        if now - self._shown > REFRESH_S:
            self._shown = now
            rate = self.steps_taken * config.data.batch_size / max(now - self._started, 1e-3)
            text = f"loss {self._loss:.2f}  CPC accuracy {self._accuracy:.3f}  {rate:.0f} clips/s"
            self._bar.update(self._task, completed=step, description=text)

    def on_report(self, report: Report) -> None:
        """Leaves one line per entry of the metrics log."""
        metrics = report.metrics
        if metrics:
            message(
                f"step {report.step:>6}  loss {metrics['train_loss']:6.2f}  CPC accuracy train {metrics['train_accuracy']:.3f} "
                f"dev {metrics['dev_accuracy']:.3f}  {metrics['clips_per_s']:.0f} clips/s"
            )


class StudyProgress:
    """A running study: a bar for the whole, a line per running trial, and a line left for each one
    that ended.

    Args:
        reference: First cell of a one-at-a-time grid, by which its other cells are named.
        folder: Named where it is said how to go on.
    """

    def __init__(self, reference: Sample | None, folder: StudyFolder) -> None:
        self._reference, self._folder = reference, folder
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"),
            console=stderr, transient=True,
        )  # fmt: skip
        self._study: TaskID | None = None
        self._trials: dict[int, TaskID] = {}

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def on_event(self, event: StudyEvent) -> None:
        """Shows one event."""
        assignment = event.assignment
        label = f"trial {assignment.number} · {cell_name(assignment.sample, self._reference)} · seed {assignment.seed}"
        if self._study is None:
            self._study = self._bar.add_task("trials ended", total=event.planned, state="")
        self._bar.update(self._study, completed=event.ended, total=event.planned)
        if event.kind == "started":
            total = assignment.config.training.steps
            self._trials[assignment.number] = self._bar.add_task(
                label, total=total, state="starting"
            )
            if not stderr.is_terminal:
                message(f"{label}: started")
            return
        metrics = event.metrics
        if event.kind == "report":
            state = (
                f"dev accuracy {metrics['dev_accuracy']:.3f}" if "dev_accuracy" in metrics else ""
            )
            self._bar.update(self._trials[assignment.number], completed=event.step, state=state)
            return
        self._bar.remove_task(self._trials.pop(assignment.number))
        if event.kind == "left":
            message(f"{label}: left at step {event.step}")
            return
        scores = "".join(
            f"  {title} {metrics[name]:.3f}"
            for name, title in (("dev_accuracy", "dev accuracy"), ("dev_map", "mAP"))
            if name in metrics
        )
        message(
            f"{label}: {event.outcome}{scores}{f' ({event.reason})' if event.reason else ''}  [{event.ended}/{event.planned}]"
        )

    def on_notice(self, notice: Notice) -> None:
        """Says what the study is asked to do."""
        message(notice_text(notice, self._folder))


def notice_text(notice: Notice, folder: StudyFolder) -> str:
    """What a study is asked to do, what that means for its running trials, and how to go on."""
    trials = f"{count_text(notice.running, 'running trial')} {'goes' if notice.running == 1 else 'go'} on"
    resume = f"`cpc study resume {folder}`"
    match notice.wanted:
        case "run":
            return "the pause is lifted: new trials start again"
        case "pause":
            return f"pausing: no new trial starts, {trials} to the end; {resume} lifts the pause"
        case "stop":
            took = (
                ""
                if notice.report_s is None
                else f" (the latest took {duration_text(notice.report_s)})"
            )
            again = "; a second Ctrl-C stops at once, without it" if notice.by_signal else ""
            return f"stopping: {trials} to the next report, which saves a checkpoint{took}{again}; {resume} goes on either way"
        case "cancel":
            return "cancelling: all running and waiting trials end now"
