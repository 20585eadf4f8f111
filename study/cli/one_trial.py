"""`cpc study show STUDY --trial N`: one trial, and where its numbers come from."""

from __future__ import annotations

from typing import Any

from study.analysis.labels import cell_name
from study.cli.output import Format, emit_document, emit_one
from study.errors import NotFoundError
from study.files import Place
from study.provenance import attempts
from study.reading import read_study
from study.trial_folder import TrialFolder


def show_trial(study: Place, number: int, output: Format) -> None:
    """Prints a trial with every attempt at it; a row in CSV knows the last attempt only.

    Raises:
        NotFoundError: The study has no such trial.
    """
    record = read_study(study)
    trial = next((trial for trial in record.every_trial if trial.number == number), None)
    if trial is None:
        raise NotFoundError(f"{study} has no trial {number}: it has {len(record.every_trial)}, numbered from 0")
    known: dict[str, Any] = {
        "trial": number,
        "cell": cell_name(trial.knobs, record.reference),
        "seed": trial.seed,
        "trial_id": trial.trial_id,
        "outcome": trial.outcome,
        "reason": trial.reason,
        "step": trial.history[-1].step if trial.history else 0,
        "minutes": trial.duration_s / 60,
    }
    tried = attempts(TrialFolder(study, number))
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
