"""Trained models of a study: one is chosen, and exported with how it was chosen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from cpc_core.errors import ConfigError
from cpc_core.export.layout import Format
from cpc_core.export.writer import export_model
from cpc_core.storage_path import StoragePath
from study.analysis.cells import Cell, best_cell, cell_named, pareto_front
from study.analysis.labels import count_text
from study.errors import NotFoundError
from study.folders.provenance import attempts
from study.folders.study_folder import StudyFolder
from study.home import study_folder
from study.results.reader import read_study
from study.results.records import StudyRecord, TrialRecord

Chosen: TypeAlias = tuple[TrialRecord, dict[str, Any]]
"""A trial, and the record of how it was chosen."""

Say: TypeAlias = Callable[[str], None]
"""Receiver of sentences for the user."""


def one_cell(record: StudyRecord, named: str | None, say: Say) -> Cell:
    """The best cell of a study, or the one that is named.

    Raises:
        NotFoundError: There is none with a complete trial.
    """
    cell = best_cell(record) if named is None else cell_named(record, named)
    if cell is None or not cell.values.get(record.metric):
        raise NotFoundError(f"no trial of {record.name} has completed yet: nothing can be exported")
    if not record.complete:
        ended = sum(each.ended for each in record.trials)
        say(
            f"{record.name} is unfinished: {ended} of {record.planned} trials have ended, and "
            "others may come to be better"
        )
    return cell


def front_cells(record: StudyRecord) -> list[Cell]:
    """The cells on the Pareto front of a study.

    Raises:
        NotFoundError: There is no such front.
    """
    cells = list(pareto_front(record))
    if not cells:
        raise NotFoundError(
            f"{record.name} has no Pareto front: it has one objective, or no complete trial"
        )
    return cells


def of_cells(
    record: StudyRecord, cells: Sequence[Cell], say: Say, *, every_seed: bool
) -> list[Chosen]:
    """The best seed of each cell, or every one."""
    chosen: list[Chosen] = []
    for cell in cells:
        values = cell.values[record.metric]
        missing = len(cell.trials) - len(values)
        if missing > 0:
            say(f"{cell.label} lacks {count_text(missing, 'seed')} of {len(cell.trials)}")
        pick = max if record.direction == "maximize" else min
        seeds = sorted(values) if every_seed else [pick(values, key=lambda each: values[each])]
        interval = cell.metrics[record.metric]
        how = {
            "how": f"{'each' if every_seed else 'best'} seed of the cell {cell.label}",
            "metric": record.metric,
            "mean": interval.mean,
            "interval": [interval.low, interval.high],
            "by_seed": {str(seed): value for seed, value in sorted(values.items())},
            "lost_seeds": missing,
            "study_complete": record.complete,
        }
        for seed in seeds:
            chosen.append((_trial_of(record, cell, seed), how))
    return chosen


def of_number(record: StudyRecord, number: int, *, unfinished: bool) -> Chosen:
    """The trial of a number.

    Raises:
        NotFoundError: There is none.
        ConfigError: It has not completed, and `unfinished` is false.
    """
    trial = record.trial(number)
    if trial.outcome != "complete" and not unfinished:
        reason = f" ({trial.reason})" if trial.reason else ""
        raise ConfigError(
            f"trial {number} of {record.name} is not complete but {trial.outcome}{reason}: add "
            "--unfinished to `cpc export`, which takes its newest checkpoint as what it is"
        )
    return trial, {"how": f"trial {number}, by its number"}


def export_trial(
    folder: StudyFolder,
    record: StudyRecord,
    chosen: Chosen,
    out: Path | StoragePath,
    formats: Collection[Format] = (),
    *,
    optimizer: bool = False,
) -> None:
    """Exports a trial from its newest checkpoint; the last two arguments are `export_model`'s.

    Raises:
        CheckpointError: It has none.
        ConfigError: The model has no such form.
    """
    trial, how = chosen
    checkpoint = folder.trial(trial.number).require_checkpoint()
    told = _provenance(folder, record, trial, how)
    export_model(checkpoint, out, told, formats, optimizer=optimizer)


def export_named(name: str, out: Path) -> None:
    """Exports the model that a name means: `demo:best`, or `demo:3` for the third trial.

    Args:
        name: A study's folder, URI or name in `studies/`, and after a colon `best` or the number of
            a complete trial.
        out: The folder.

    Raises:
        NotFoundError: There is no such study or trial.
        ConfigError: It is no such name, or the trial has not completed.
    """
    study, _, which = name.rpartition(":")
    folder = study_folder(study)
    if which != "best" and not which.isdecimal():
        raise ConfigError(
            f"{name} names no model: use {study}:best, or {study}:3 for the trial with that number"
        )
    record = read_study(folder)
    if which == "best":
        (chosen,) = of_cells(record, [one_cell(record, None, _unsaid)], _unsaid, every_seed=False)
    else:
        chosen = of_number(record, int(which), unfinished=False)
    export_trial(folder, record, chosen, out)


def _unsaid(sentence: str) -> None:
    """Nothing: the provenance of the export tells it."""


def _trial_of(record: StudyRecord, cell: Cell, seed: int) -> TrialRecord:
    return next(
        trial
        for trial in record.trials
        if trial.cell_id == cell.cell_id and trial.seed == seed and trial.outcome == "complete"
    )


def _provenance(
    folder: StudyFolder, record: StudyRecord, trial: TrialRecord, how: dict[str, Any]
) -> dict[str, Any]:
    return {
        "study": record.name,
        "trial": trial.number,
        "trial_id": trial.trial_id,
        "seed": trial.seed,
        "knobs": dict(trial.knobs),
        "outcome": trial.outcome,
        "reason": trial.reason,
        "metrics": dict(trial.metrics),
        "chosen": how,
        **record.provenance,
        "attempts": attempts(folder.trial(trial.number)),
    }
