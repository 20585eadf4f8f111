"""`cpc study ls|show|best|presets`: studies and their trials as tables."""

from __future__ import annotations

from typing import Any

from cpc_core.errors import ConfigError, CpcError
from study.analysis.answer import answer_info
from study.analysis.cells import pareto_front, ranked
from study.analysis.cost import cost_info, predicted_s
from study.analysis.export import score_row
from study.analysis.labels import cell_name
from study.cli.arguments import Interval, Record, Study
from study.cli.output import (
    Format,
    Output,
    message,
    next_steps,
    print_record,
    print_rows,
    state_text,
)
from study.cli.study.compare import INTERVALS, print_claims
from study.control.state import study_state
from study.errors import StudyFailedError
from study.folders.provenance import attempt_text, attempts
from study.folders.study_folder import StudyFolder
from study.home import list_studies, study_folder, study_record
from study.results.reader import read_study
from study.results.records import StudyRecord, TrialRecord
from study.spec.presets import preset_names, scales
from study.spec.study_spec import StudySpec

TABLE_ROWS = 20
"""Cells in a table of the best ones."""


def ls(*, output: Output = "table") -> None:
    """Prints the studies in studies/."""
    rows, damaged = [], []
    for folder in list_studies():
        try:
            record = read_study(folder)
            state = study_state(folder, record)
        except CpcError as error:
            damaged.append(str(error))
            continue
        best = ranked(record)[:1]
        rows.append(
            {
                "study": folder.name,
                "state": state,
                "ended": record.ended,
                "planned": record.planned,
                "best": best[0].label if best else None,
                "metric": record.metric,
                "mean": best[0].metrics[record.metric].mean if best else None,
            }
        )
    if rows:
        print_rows(rows, output)
    for problem in damaged:
        message(f"left out: {problem}")
    if not rows and not damaged:
        message("no study in studies/ yet")
        next_steps("cpc study run demo")


def show(study: Study, /, *, trial: int | None = None, output: Output = "table") -> None:
    """Prints every trial of a study with its actual and predicted time, and the study's answer.

    Parameters
    ----------
    trial
        Show this trial alone: its metrics, and the code and machine of every attempt at it.
    """
    folder = study_folder(study)
    record = read_study(folder)
    if trial is not None:
        _show_trial(folder, record, trial, output)
        return
    print_rows([_trial_row(record, each) for each in record.every_trial], output)
    print_answer(record)
    message(f"\nstate: {state_text(study_state(folder, record), study)}")
    cost = cost_info(record)
    if cost is not None:
        message(f"\n{cost.words}")


def best(
    study: Record,
    /,
    *,
    top: int | None = None,
    interval: Interval = "t",
    output: Output = "table",
) -> None:
    """Prints the cells from best to worst, or the Pareto front, and the answers to the claims.

    Parameters
    ----------
    top
        Number of cells to print; by default 20 in a table, and all in the other formats.
    """
    if top is not None and top < 1:
        raise ConfigError(f"--top {top} must be at least 1")
    record = study_record(study)
    cells = pareto_front(record, INTERVALS[interval]) or ranked(record, INTERVALS[interval])
    if not cells:
        raise StudyFailedError(answer_info(record).headline)
    shown = cells[: top or (TABLE_ROWS if output == "table" else None)]
    print_rows([score_row(record, cell) for cell in shown], output)
    if len(shown) < len(cells):
        message(f"{len(shown)} of {len(cells):,} cells; --top {len(cells)} prints all")
    print_answer(record)
    next_steps(
        f"cpc dashboard {study}",
        f"cpc export {study} --best -o model",
        "cpc study plan table1_epsilon",
    )


def presets(*, output: Output = "table") -> None:
    """Prints the shipped specs, with the question each answers."""
    rows = []
    for name in preset_names():
        spec = StudySpec.load(name)
        rows.append(
            {
                "preset": name,
                "scales": ", ".join(scales(name)),
                "trials": spec.planned_trials,
                "question": spec.question,
            }
        )
    print_rows(rows, output)
    next_steps("cpc study plan demo", "cpc study run demo")


def print_answer(record: StudyRecord) -> None:
    """Prints the study's answer, and the answers to its claims."""
    answer = answer_info(record)
    message("\n" + "\n".join(filter(None, (answer.headline, answer.detail, answer.state))))
    print_claims(record)


def _trial_row(record: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    # In the order in which they are left out where the terminal is narrow, the last one first.
    names = ("dev_map", f"dev_{record.accuracy}", "dev_probe_accuracy", f"train_{record.accuracy}")
    metrics = {name: trial.metrics.get(name) for name in names}
    outcome = f"{trial.outcome}: {trial.reason}" if trial.reason else trial.outcome
    outcome += "" if trial.retried_as is None else f", retried as trial {trial.retried_as}"
    expected = predicted_s(record, trial)
    return {
        "trial": trial.number,
        "cell": cell_name(trial.knobs, record.reference),
        "seed": trial.seed,
        "step": trial.step,
        **metrics,
        "minutes": trial.duration_s / 60,
        "predicted_minutes": None if expected is None else expected / 60,
        "outcome": outcome,
    }


def _show_trial(study: StudyFolder, record: StudyRecord, number: int, output: Format) -> None:
    """Prints a trial with every attempt at it; a row in CSV has only the last attempt.

    Raises:
        NotFoundError: The study has no such trial.
    """
    trial = record.trial(number)
    shown: dict[str, Any] = {
        "trial": number,
        "cell": cell_name(trial.knobs, record.reference),
        "seed": trial.seed,
        "trial_id": trial.trial_id,
        "outcome": trial.outcome,
        "reason": trial.reason,
        "step": trial.step,
        "minutes": trial.duration_s / 60,
    }
    tried = attempts(study.trial(number))
    if output in ("json", "yaml"):
        shown |= {"metrics": dict(trial.metrics), "attempts": tried}
    else:
        for place, attempt in enumerate(tried, start=1):
            shown[f"attempt_{place}" if output == "table" else "attempt"] = attempt_text(attempt)
        shown |= trial.metrics
    print_record(shown, output)
