"""`cpc study watch`: a running study in the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

from cyclopts import Parameter
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cpc_core.errors import ConfigError
from study.analysis.answer import answer_info
from study.analysis.cells import cell_labels
from study.analysis.labels import metric_label, number
from study.cli.arguments import state_words, study_folder
from study.cli.output import Format, message, next_steps, print_rows, stderr
from study.control.state import State, study_state
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.results.records import StudyRecord, TrialRecord
from study.results.watcher import LiveStudy

_LEFT = ("paused", "stopped")


ENDED_SHOWN = 12
"""Trials that have ended are many; the last ones are shown."""


def watch(
    study: str,
    /,
    *,
    every_s: float = 2.0,
    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "table",
) -> None:
    """Follow a study until it has ended, or was paused or stopped; Ctrl-C ends only the watching.

    On a terminal it is a table that changes in place; elsewhere a line per change. The trials as
    they ended go to stdout.

    Parameters
    ----------
    study
        A study folder, or the name of one in studies/.
    every_s
        Seconds between looks at the folder.
    output
        Format of the result.
    """
    if every_s <= 0:
        raise ConfigError(f"--every-s {every_s:g} must be above 0")
    folder = study_folder(study)
    record = _followed(folder, every_s, time.sleep)
    labels = cell_labels(record)
    print_rows([_result(record, trial, labels[trial.cell_id]) for trial in record.trials], output)
    answer = answer_info(record)
    state = study_state(folder, record)
    message(f"\n{answer.headline}\n{answer.state}\nstate: {state_words(state, study)}")
    next_steps(
        *(
            (f"cpc study resume {study}",)
            if state in _LEFT
            else (f"cpc study best {study}", f"cpc report {study} -o report.html")
        )
    )


def _followed(folder: StudyFolder, every_s: float, wait: Callable[[float], None]) -> StudyRecord:
    """Shows the study at each change, until every planned trial has ended or it was left as
    asked.
    """
    live_study = LiveStudy(folder, read_study)
    revision, record = live_study.latest()
    state = study_state(folder, record)
    with Live(console=stderr, auto_refresh=False, transient=True) as live:
        told: dict[int, str] = {}
        while True:
            if stderr.is_terminal:
                live.update(_view(record, state), refresh=True)
            else:
                _tell_changes(record, told)
            if record.finished or state in _LEFT:
                return record
            before = revision, state
            while (revision, state) == before:
                wait(every_s)
                revision, record = live_study.latest()
                state = study_state(folder, record)
            if state not in ("ended", before[1]) and not stderr.is_terminal:
                message(f"state: {state_words(state, folder)}")


def _tell_changes(record: StudyRecord, told: dict[int, str]) -> None:
    labels = cell_labels(record)
    for trial in record.trials:
        state = f"{trial.outcome} at step {trial.step}" if trial.step else trial.outcome
        if trial.outcome != "waiting" and told.get(trial.number) != state:
            told[trial.number] = state
            message(
                f"trial {trial.number} · {labels[trial.cell_id]} · seed {trial.seed}: "
                f"{state}{_score(record, trial)}"
            )


def _view(record: StudyRecord, state: State) -> Group:
    """The study's progress, its running trials, and the last ones that ended."""
    labels = cell_labels(record)
    running = [trial for trial in record.trials if trial.outcome == "running"]
    ended = [trial for trial in record.trials if trial.ended]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("trial", "cell", "seed", "step", metric_label(record.metric), "outcome"):
        table.add_column(column, justify="left" if column in ("cell", "outcome") else "right")
    for trial in (*ended[-ENDED_SHOWN:], *running):
        score = number(trial.metrics[record.metric]) if record.metric in trial.metrics else "–"
        table.add_row(
            str(trial.number),
            labels[trial.cell_id],
            str(trial.seed),
            str(trial.step),
            score,
            trial.outcome,
        )
    total = max(record.planned, len(record.trials))
    progress = Table.grid(padding=(0, 1))
    progress.add_row(
        Text(f"{record.name}, {state}: {record.ended} of {total} trials ended"),
        ProgressBar(total=total, completed=record.ended, width=40),
    )
    return Group(progress, table, Text(answer_info(record).headline))


def _score(record: StudyRecord, trial: TrialRecord) -> str:
    return (
        f", {metric_label(record.metric)} {number(trial.metrics[record.metric])}"
        if record.metric in trial.metrics
        else ""
    )


def _result(record: StudyRecord, trial: TrialRecord, cell: str) -> dict[str, object]:
    score = trial.metrics.get(record.metric)
    return {
        "trial": trial.number,
        "cell": cell,
        "seed": trial.seed,
        "step": trial.step,
        record.metric: score,
        "outcome": trial.outcome,
    }
