"""`cpc study watch`: a running study in the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cpc_core.errors import ConfigError
from study.analysis.answer import answer_info
from study.analysis.cells import cell_labels
from study.analysis.labels import metric_label, number
from study.cli.arguments import Study
from study.cli.output import Output, message, next_steps, print_rows, state_text, stderr
from study.control.state import State, study_state
from study.folders.study_folder import StudyFolder
from study.home import study_folder
from study.results.records import StudyRecord, TrialRecord
from study.results.watcher import LiveStudy

_LEFT = ("paused", "stopped")


ENDED_SHOWN = 12
"""Number of ended trials that are shown, the last ones."""


def watch(study: Study, /, *, every_s: float = 2.0, output: Output = "table") -> None:
    """Follows a study until it has ended, or was paused or stopped, and prints its trials.

    Parameters
    ----------
    every_s
        Seconds between looks at the folder.
    """
    if every_s <= 0:
        raise ConfigError(f"--every-s {every_s:g} must be above 0")
    folder = study_folder(study)
    record = follow(folder, every_s, time.sleep)
    labels = cell_labels(record)
    rows = [
        {
            "trial": trial.number,
            "cell": labels[trial.cell_id],
            "seed": trial.seed,
            "step": trial.step,
            record.metric: trial.metrics.get(record.metric),
            "outcome": trial.outcome,
        }
        for trial in record.trials
    ]
    print_rows(rows, output)
    answer = answer_info(record)
    state = study_state(folder, record)
    message(f"\n{answer.headline}\n{answer.state}\nstate: {state_text(state, study)}")
    if state in _LEFT:
        next_steps(f"cpc study resume {study}")
    else:
        next_steps(f"cpc study best {study}", f"cpc report {study} -o report.html")


def follow(folder: StudyFolder, every_s: float, wait: Callable[[float], None]) -> StudyRecord:
    """Shows each change of a study until it has ended, or was paused or stopped.

    On a terminal that is a table that changes in place, elsewhere a line per change.

    Args:
        folder: The study folder.
        every_s: Seconds between looks at it.
        wait: Waits for that long.
    """
    live_study = LiveStudy(folder)
    revision, record = live_study.latest()
    state = study_state(folder, record)
    printed: dict[int, str] = {}
    with Live(console=stderr, auto_refresh=False, transient=True) as live:
        while True:
            if stderr.is_terminal:
                live.update(study_view(record, state), refresh=True)
            else:
                _print_changes(record, printed)
            if record.finished or state in _LEFT:
                return record
            before = revision, state
            while (revision, state) == before:
                wait(every_s)
                revision, record = live_study.latest()
                state = study_state(folder, record)
            if state not in ("ended", before[1]) and not stderr.is_terminal:
                message(f"state: {state_text(state, folder)}")


def study_view(record: StudyRecord, state: State) -> Group:
    """The progress of a study, its running trials, and the last ones that ended."""
    labels = cell_labels(record)
    running = [trial for trial in record.trials if trial.outcome == "running"]
    ended = [trial for trial in record.trials if trial.ended]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("trial", "cell", "seed", "step", metric_label(record.metric), "outcome"):
        table.add_column(column, justify="left" if column in ("cell", "outcome") else "right")
    for trial in (*ended[-ENDED_SHOWN:], *running):
        cells = (trial.number, labels[trial.cell_id], trial.seed, trial.step)
        table.add_row(*map(str, cells), _score(record, trial) or "–", trial.outcome)
    total = max(record.planned, len(record.trials))
    progress = Table.grid(padding=(0, 1))
    progress.add_row(
        Text(f"{record.name}, {state}: {record.ended} of {total} trials ended"),
        ProgressBar(total=total, completed=record.ended, width=40),
    )
    return Group(progress, table, Text(answer_info(record).headline))


def _print_changes(record: StudyRecord, printed: dict[int, str]) -> None:
    labels = cell_labels(record)
    for trial in record.trials:
        state = f"{trial.outcome} at step {trial.step}" if trial.step else trial.outcome
        if trial.outcome != "waiting" and printed.get(trial.number) != state:
            printed[trial.number] = state
            score = _score(record, trial)
            measured = f", {metric_label(record.metric)} {score}" if score else ""
            cell = labels[trial.cell_id]
            message(f"trial {trial.number} · {cell} · seed {trial.seed}: {state}{measured}")


def _score(record: StudyRecord, trial: TrialRecord) -> str | None:
    score = trial.metrics.get(record.metric)
    return None if score is None else number(score)
