"""Replicates grouped into cells: what every figure, table and answer starts from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cpc_core.report import Outcome
from search_spaces.knobs import KNOBS
from study.analysis.labels import cell_name
from study.analysis.statistics import Interval, IntervalOf, t_interval
from study.errors import NotFoundError
from study.results.records import StudyRecord, TrialRecord
from study.spec.cell_selector import Selector

SHORTEST_ID = 4
"""Digits of a cell's id that may stand for it."""


NAMED = 8
"""Cells that an error lists."""


_NAME_OF_PATH = {knob.path: name for name, knob in KNOBS.items()}


@dataclass(frozen=True)
class NotShown:
    """Why a figure or table is absent.

    Attributes:
        reason: One sentence.
        pending: Whether the study does ask for it and only results are missing: a page then keeps
            its place.
    """

    reason: str
    pending: bool


@dataclass(frozen=True)
class Cell:
    """All replicates of one setting.

    Attributes:
        cell_id: Signature without the seed.
        label: The setting by the knobs that vary in this study.
        knobs: Every sampled knob, under its catalog name.
        values: Metric → seed → value, of complete trials only: what was pruned, diverged or failed
            enters no mean.
        metrics: Metric → mean and interval over those seeds.
        outcomes: How many trials ended or stand how.
        trials: Numbers of all its trials.
    """

    cell_id: str
    label: str
    knobs: Mapping[str, Any]
    values: Mapping[str, Mapping[int, float]]
    metrics: Mapping[str, Interval]
    outcomes: Mapping[Outcome, int]
    trials: tuple[int, ...]

    @property
    def planned(self) -> int:
        """Trials of this cell known to the store, however they stand."""
        return sum(self.outcomes.values())


def catalog_knobs(trial: TrialRecord) -> dict[str, Any]:
    """The trial's knobs under their catalog names, where a spec gave the dotted path."""
    return _catalogued(trial.knobs)


def _catalogued(knobs: Mapping[str, Any]) -> dict[str, Any]:
    return {_NAME_OF_PATH.get(name, name): value for name, value in knobs.items()}


def varied_knobs(record: StudyRecord) -> tuple[str, ...]:
    """Knobs that take more than one value over the study's trials; being absent counts as a
    value.
    """
    every = [catalog_knobs(trial) for trial in record.trials]
    names = sorted({name for knobs in every for name in knobs})
    return tuple(
        name
        for name in names
        if len({repr(knobs[name]) if name in knobs else None for knobs in every}) > 1
    )


def group_cells(record: StudyRecord, interval_of: IntervalOf = t_interval) -> tuple[Cell, ...]:
    """Trials grouped by cell, in the order in which the cells first appear."""
    groups: dict[str, list[TrialRecord]] = {}
    for trial in record.trials:
        groups.setdefault(trial.cell_id, []).append(trial)
    varied = varied_knobs(record)
    reference = None if record.reference is None else _catalogued(record.reference)
    return tuple(
        _cell(cell_id, trials, _label(catalog_knobs(trials[0]), varied, reference), interval_of)
        for cell_id, trials in groups.items()
    )


def cells_varying(record: StudyRecord, *knobs: str) -> tuple[Cell, ...]:
    """Cells that a figure of some knobs shows: of a one-at-a-time grid those that differ from its
    first cell in no other knob.
    """
    cells = group_cells(record)
    if record.reference is None:
        return cells
    fixed = _catalogued(record.reference)
    return tuple(
        cell
        for cell in cells
        if all(
            name in knobs or (name, value) in fixed.items() for name, value in cell.knobs.items()
        )
    )


def _label(
    knobs: Mapping[str, Any], varied: Sequence[str], reference: Mapping[str, Any] | None
) -> str:
    if reference is not None:
        return cell_name(knobs, reference)
    return cell_name({name: knobs[name] for name in varied if name in knobs} or knobs)


def _cell(cell_id: str, trials: Sequence[TrialRecord], label: str, interval_of: IntervalOf) -> Cell:
    values: dict[str, dict[int, float]] = {}
    for trial in trials:
        if trial.outcome == "complete":
            for metric, value in trial.metrics.items():
                if math.isfinite(value):
                    values.setdefault(metric, {})[trial.seed] = value
    return Cell(
        cell_id=cell_id,
        label=label,
        knobs=catalog_knobs(trials[0]),
        values=values,
        metrics={metric: interval_of(list(of_seed.values())) for metric, of_seed in values.items()},
        outcomes=dict(Counter(trial.outcome for trial in trials)),
        trials=tuple(trial.number for trial in trials),
    )


def ranked(record: StudyRecord, interval_of: IntervalOf = t_interval) -> tuple[Cell, ...]:
    """Cells that have a value of the study's metric, best mean first."""
    sign = -1.0 if record.direction == "maximize" else 1.0
    scored = [cell for cell in group_cells(record, interval_of) if record.metric in cell.metrics]
    return tuple(sorted(scored, key=lambda cell: sign * cell.metrics[record.metric].mean))


def cell_named(record: StudyRecord, name: str) -> Cell:
    """The cell that a user means: by its knobs (`similarity=dot,temperature=1`), its label, or the
    beginning of its id.

    Raises:
        NotFoundError: No cell is meant, or several are.
        ConfigError: The knobs cannot be read.
    """
    cells = group_cells(record)
    found = [cell for cell in cells if cell.label == name]
    if not found and "=" in name:
        selector = Selector.from_text(name)
        found = [cell for cell in cells if selector.matches(cell.knobs)]
    elif not found and len(name) >= SHORTEST_ID:
        found = [cell for cell in cells if cell.cell_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    listed = "; ".join(cell.label for cell in (found or cells)[:NAMED]) + (
        "; …" if len(found or cells) > NAMED else ""
    )
    if found:
        raise NotFoundError(
            f"'{name}' means {len(found)} cells of {record.name}: name more knobs of one of them ({listed})"
        )
    raise NotFoundError(
        f"'{name}' is no cell of {record.name}: give its knobs as 'knob=value,…', or its label ({listed})"
    )


def best_cell(record: StudyRecord) -> Cell | None:
    """The cell with the best mean of the study's metric, or None where nothing is complete."""
    return next(iter(ranked(record)), None)


def pareto_front(record: StudyRecord, interval_of: IntervalOf = t_interval) -> tuple[Cell, ...]:
    """Cells that are not dominated, the best by the first objective first; empty where the study
    has one objective.

    A cell is dominated by another whose mean is at least as good in every objective and better in
    one. Cells that lack the mean of an objective are left out.

    Args:
        record: The study.
        interval_of: The interval of each mean; which cells are on the front does not depend on it.
    """
    if len(record.objectives) < 2:
        return ()
    metrics = [objective.metric for objective in record.objectives]
    cells = [
        cell
        for cell in group_cells(record, interval_of)
        if all(metric in cell.metrics for metric in metrics)
    ]
    signs = np.array(
        [1.0 if objective.direction == "maximize" else -1.0 for objective in record.objectives]
    )
    means = (
        np.array([[cell.metrics[metric].mean for metric in metrics] for cell in cells]).reshape(
            len(cells), len(metrics)
        )
        * signs
    )
    free = [not np.any(np.all(means >= own, axis=1) & np.any(means > own, axis=1)) for own in means]
    order = np.argsort(-means[:, 0], kind="stable")
    return tuple(cells[index] for index in order if free[index])
