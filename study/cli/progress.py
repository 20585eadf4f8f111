"""Live progress on stderr: a bar per trial on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
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
    from cpc_core.config import Accuracy, CpcConfig
    from cpc_core.report import Report
    from cpc_core.step import StepMetrics
    from search_spaces.space import Sample


SMOOTHING = 0.95
"""Weight of the past in the shown loss and accuracy."""


REFRESH_S = 0.2
"""Seconds between updates of a line, so that short steps do not spend their time on the
terminal.
"""


LINE_S = 30.0
"""Seconds between lines where there is no terminal."""


class LinesNowAndThen:
    """Lines of a progress that no terminal shows, the first of them after `LINE_S` seconds."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def say(self, line: Callable[[], str]) -> None:
        """Prints what `line` returns, if it is time for it."""
        now = time.monotonic()
        if not stderr.is_terminal and now - self._said >= LINE_S:
            self._said = now
            message(line())


class TrialProgress:
    """Progress of one training: step, loss, CPC accuracy, clips per second and the time left.

    Args:
        folder: The study folder, named where the training is interrupted.
        accuracy: The accuracy to show.
        grace_s: Seconds in which the training has to end after a signal, if limited.
    """

    def __init__(
        self, folder: StudyFolder, accuracy: Accuracy, grace_s: float | None = None
    ) -> None:
        self.folder, self.steps_taken, self._name = folder, 0, accuracy
        self._grace_s = grace_s
        self._bar = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=stderr,
            transient=True,
        )
        self._task: TaskID | None = None
        self._lines = LinesNowAndThen()
        self._loss = self._accuracy = 0.0
        self._started = self._shown = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        self._bar.stop()
        if kind is KeyboardInterrupt:
            message(
                f"interrupted; the same command resumes from the last checkpoint in {self.folder}"
            )

    def on_step(self, config: CpcConfig, step: int, measured: StepMetrics) -> None:
        """Shows one optimizer step."""
        accuracy = float(vars(measured)[self._name])
        loss, now = float(measured.loss), time.monotonic()
        if self._task is None:
            self._task = self._bar.add_task("", total=config.training.steps, completed=step - 1)
            self._started, self._loss, self._accuracy = now, loss, accuracy
        self.steps_taken += 1
        self._loss += (1 - SMOOTHING) * (loss - self._loss)
        self._accuracy += (1 - SMOOTHING) * (accuracy - self._accuracy)
        if now - self._shown > REFRESH_S:
            self._shown = now
            rate = self.steps_taken * config.data.batch_size / max(now - self._started, 1e-3)
            text = f"loss {self._loss:.2f}  CPC accuracy {self._accuracy:.3f}  {rate:.0f} clips/s"
            self._bar.update(self._task, completed=step, description=text)
            steps = config.training.steps
            left_s = (steps - step) * (now - self._started) / self.steps_taken
            self._lines.say(
                lambda: f"step {step:>6} of {steps}  {text}  {duration_text(left_s)} left"
            )

    def on_stopping(self) -> None:
        """Says that a signal was heard, as the next report may be minutes away."""
        message(f"stopping at the next report{_earlier(self._grace_s)}; a second signal stops now")

    def on_report(self, report: Report) -> None:
        """Prints one line per entry of the metrics log."""
        metrics = report.metrics
        if metrics:
            message(
                f"step {report.step:>6}  loss {metrics['train_loss']:6.2f}  CPC accuracy train "
                f"{metrics[f'train_{self._name}']:.3f} dev {metrics[f'dev_{self._name}']:.3f}  "
                f"{metrics['clips_per_s']:.0f} clips/s"
            )


class AudioProgress:
    """Progress through hours of audio: how much is done, and the time left.

    Args:
        done: Verb of the lines, such as `embedded`.
    """

    def __init__(self, done: str) -> None:
        self._done = done
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.1f} of {task.total:.1f} minutes of audio"),
            TimeRemainingColumn(),
            console=stderr,
            transient=True,
        )
        self._task: TaskID | None = None
        self._lines = LinesNowAndThen()
        self._began, self._before_s = time.monotonic(), 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done_s: float, total_s: float) -> None:
        """Shows the seconds of audio that are done, at first those of an earlier call."""
        if self._task is None:
            self._task = self._bar.add_task(self._done, total=total_s / 60)
            self._began, self._before_s = time.monotonic(), done_s
        self._bar.update(self._task, completed=done_s / 60)
        rate = (done_s - self._before_s) / max(time.monotonic() - self._began, 1e-3)
        if rate > 0:
            self._lines.say(
                lambda: (
                    f"{self._done} {done_s / 60:.1f} of {total_s / 60:.1f} minutes of audio, "
                    f"{duration_text((total_s - done_s) / rate)} left"
                )
            )


class StudyProgress:
    """Progress of a study: a bar for the whole, one per running trial, and a line per ended trial.

    Args:
        reference: First cell of a one-at-a-time grid, by which its other cells are named.
        folder: The study folder, named in the command that resumes the study.
    """

    def __init__(self, reference: Sample | None, folder: StudyFolder) -> None:
        self._reference, self._folder = reference, folder
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            console=stderr,
            transient=True,
        )
        self._study: TaskID | None = None
        self._lines = LinesNowAndThen()
        self._trials: dict[int, TaskID] = {}

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def on_event(self, event: StudyEvent) -> None:
        """Shows one event."""
        trial = event.trial
        cell = cell_name(trial.sample, self._reference)
        label = f"trial {trial.number} · {cell} · seed {trial.seed}"
        if self._study is None:
            self._study = self._bar.add_task("trials ended", total=event.planned, state="")
        self._bar.update(self._study, completed=event.ended, total=event.planned)
        if event.kind == "started":
            steps = trial.config.training.steps
            self._trials[trial.number] = self._bar.add_task(label, total=steps, state="starting")
            if not stderr.is_terminal:
                message(f"{label}: started")
        elif event.kind == "report":
            accuracy = event.metrics.get(f"dev_{trial.config.objective.accuracy}")
            state = "" if accuracy is None else f"dev accuracy {accuracy:.3f}"
            self._bar.update(self._trials[trial.number], completed=event.step, state=state)
            steps = trial.config.training.steps
            self._lines.say(
                lambda: (
                    f"{label}: step {event.step} of {steps}  {state}  "
                    f"[{event.ended}/{event.planned}]"
                )
            )
        else:
            self._bar.remove_task(self._trials.pop(trial.number))
            message(f"{label}: {_end_text(event)}")

    def on_notice(self, notice: Notice) -> None:
        """Prints a control request."""
        message(notice_text(notice, self._folder))


def _end_text(event: StudyEvent) -> str:
    if event.kind == "left":
        return f"stopped at step {event.step}, resumable"
    accuracy = event.trial.config.objective.accuracy
    scores = "".join(
        f"  {title} {event.metrics[name]:.3f}"
        for name, title in ((f"dev_{accuracy}", "dev accuracy"), ("dev_map", "mAP"))
        if name in event.metrics
    )
    reason = f" ({event.reason})" if event.reason else ""
    return f"{event.outcome}{scores}{reason}  [{event.ended}/{event.planned}]"


def _earlier(grace_s: float | None) -> str:
    return "" if grace_s is None else f", or at a checkpoint within {duration_text(grace_s)}"


def notice_text(notice: Notice, folder: StudyFolder) -> str:
    """A control request, its consequence for the running trials, and the command that resumes."""
    running = count_text(notice.running, "running trial")
    trials = f"{running} {'trains' if notice.running == 1 else 'train'}"
    resume = f"`cpc study resume {folder}`"
    match notice.desired:
        case "run":
            return "the pause is lifted: new trials start again"
        case "pause":
            return f"pausing: no new trial starts, {trials} to the end; {resume} lifts the pause"
        case "stop":
            took = ""
            if notice.report_s is not None:
                took = f" (the latest took {duration_text(notice.report_s)})"
            again = "; a second Ctrl-C stops at once, without it" if notice.by_signal else ""
            return (
                f"stopping: {trials} to the next report, which saves a checkpoint{took}"
                f"{_earlier(notice.grace_s)}{again}; {resume} continues either way"
            )
        case "cancel":
            return "cancelling: all running and waiting trials end now"
