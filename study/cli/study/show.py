"""`cpc study ls|show|best|presets`: studies and their trials as tables."""

from __future__ import annotations

from typing import Any

from study.analysis.answer import answer_info
from study.analysis.cells import pareto_front, ranked
from study.analysis.cost import cost_info, predicted_s
from study.analysis.export import score_row
from study.analysis.labels import cell_name
from study.cli.arguments import Output, list_studies, state_words, study_folder
from study.cli.output import Format, emit_document, emit_one, message, next_steps, print_rows
from study.cli.study.compare import INTERVALS, IntervalName, say_claims
from study.control.state import study_state
from study.errors import NotFoundError, StudyFailedError
from study.folders.provenance import attempts
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.results.records import StudyRecord, TrialRecord
from study.spec.presets import preset_names, scales
from study.spec.study_spec import StudySpec


def ls(*, output: Output = "table") -> None:
    """List the studies in studies/."""
    rows = []
    for folder in list_studies():
        record = read_study(folder)
        best = ranked(record)[:1]
        rows.append(
            {
                "study": folder.name,
                "state": study_state(folder, record),
                "ended": record.ended,
                "planned": record.planned,
                "best": best[0].label if best else None,
                "metric": record.metric,
                "mean": best[0].metrics[record.metric].mean if best else None,
            }
        )
    if rows:
        print_rows(rows, output)
    else:
        message("no study in studies/ yet")
        next_steps("cpc study run demo")


def show(study: str, /, *, trial: int | None = None, output: Output = "table") -> None:
    """Show every trial of a study with its time beside the predicted one, and what the study says
    so far.

    Parameters
    ----------
    study
        A study folder, or the name of one in studies/.
    trial
        Show this trial alone: its metrics, and the code and machine of every attempt at it.
    """
    if trial is not None:
        show_trial(study_folder(study), trial, output)
        return
    folder = study_folder(study)
    record = read_study(folder)
    print_rows([_trial_row(record, each) for each in record.every_trial], output)
    print_answer(record)
    message(f"\nstate: {state_words(study_state(folder, record), study)}")
    cost = cost_info(record)
    if cost is not None:
        message(f"\n{cost.words}")


def best(study: str, /, *, interval: IntervalName = "t", output: Output = "table") -> None:
    """Show the cells from best to worst, each with its interval over seeds, and answer the study's
    claims.

    Of a study with several objectives it shows the front: the cells that no other beats in each of
    them.

    Parameters
    ----------
    study
        A study folder, or the name of one in studies/.
    interval
        Student's interval, or the studentised bootstrap's, which needs five seeds.
    """
    record = read_study(study_folder(study))
    cells = pareto_front(record, INTERVALS[interval]) or ranked(record, INTERVALS[interval])
    if not cells:
        raise StudyFailedError(answer_info(record).headline)
    print_rows([score_row(record, cell) for cell in cells], output)
    print_answer(record)
    next_steps(
        f"cpc dashboard {study}",
        f"cpc export {study} --best -o model",
        "cpc study plan table1_epsilon",
    )


def presets(*, output: Output = "table") -> None:
    """List the shipped specs, with the question each answers."""
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
    message(
        "\n" + "\n".join(text for text in (answer.headline, answer.detail, answer.state) if text)
    )
    say_claims(record)


def _trial_row(record: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    metrics = {
        name: trial.metrics.get(name)
        for name in ("train_accuracy", "dev_accuracy", "dev_map", "dev_probe_accuracy")
    }
    outcome = f"{trial.outcome}: {trial.reason}" if trial.reason else trial.outcome
    outcome += "" if trial.retried_as is None else f", retried as trial {trial.retried_as}"
    expected = predicted_s(record, trial)
    minutes = {
        "minutes": trial.duration_s / 60,
        "predicted_minutes": None if expected is None else expected / 60,
    }
    cell = cell_name(trial.knobs, record.reference)
    return {
        "trial": trial.number,
        "cell": cell,
        "seed": trial.seed,
        "step": trial.step,
        **metrics,
        **minutes,
        "outcome": outcome,
    }


def show_trial(study: StudyFolder, number: int, output: Format) -> None:
    """Prints a trial with every attempt at it; a row in CSV knows the last attempt only.

    Raises:
        NotFoundError: The study has no such trial.
    """
    record = read_study(study)
    trial = next((trial for trial in record.every_trial if trial.number == number), None)
    if trial is None:
        raise NotFoundError(
            f"{study} has no trial {number}: it has {len(record.every_trial)}, numbered from 0"
        )
    known: dict[str, Any] = {
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
        emit_document({**known, "metrics": dict(trial.metrics), "attempts": tried}, output)
        return
    for place, attempt in enumerate(tried, start=1):
        last = {f"attempt_{place}" if output == "table" else "attempt": _words(attempt)}
        known = {**known, **last}
    emit_one({**known, **trial.metrics}, output)


def _words(attempt: dict[str, Any]) -> str:
    """An attempt in one line."""
    git, versions, hardware = attempt["git"], attempt["versions"], attempt["hardware"]
    code = f"commit {git['commit'][:12]}" if git else f"source {attempt['source']}"
    changed = f" with the changes in {git['diff']}" if "diff" in git else ""
    where = attempt["device"] if attempt["device"] != "cpu" else hardware["cpu"]
    workers = f"{attempt['workers']} × {attempt['threads']} threads"
    return f"{attempt['started']}, from step {attempt['from_step']}: {code}{changed}, torch {versions['torch']}, {where}, {workers}"
