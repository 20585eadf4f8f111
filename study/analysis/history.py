"""Learning curves of every trial, with the level that a constant answer scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cpc_core.config import NegativesConfig
from study.analysis.cells import Cell, NotShown, catalog_knobs, group_cells, ranked, varied_knobs
from study.analysis.labels import metric_label
from study.records import Outcome, StudyRecord, TrialRecord

CURVE_METRICS = ("train_accuracy", "dev_accuracy")

COLOURED_CELLS = 12
"""Up to so many cells have a colour each; of more, only the best `BEST_COLOURED`."""

BEST_COLOURED = 4

_FAMILIES = ("similarity", "adversary", "negatives")
"""Knobs that give a hue, the first that varies."""


@dataclass(frozen=True)
class Curve:
    """One trial's learning curve.

    Attributes:
        trial: The trial's number.
        seed: Its seed.
        cell_id: Its cell: curves of one cell share a colour.
        label: The cell in words.
        outcome: How the trial stands or ended.
        steps: Optimizer steps, ascending.
        values: The metric at each step; finite.
    """

    trial: int
    seed: int
    cell_id: str
    label: str
    outcome: Outcome
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class HistoryPanel:
    """One metric over training.

    Attributes:
        metric: The metric.
        label: Its name in words.
        curves: By trial number.
    """

    metric: str
    label: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class CurveGroup:
    """How the curves of one cell are told from others.

    Attributes:
        cell_id: The cell.
        label: The cell in words.
        family: Value of the knob that gives the hue, for example `dot`; empty where no such knob varies.
        position: Place among the family's cells, in order of their other knobs: the shade.
        size: Cells in the family.
        shown: Whether it has a colour of its own; the others are context.
    """

    cell_id: str
    label: str
    family: str
    position: int
    size: int
    shown: bool


@dataclass(frozen=True)
class HistoryInfo:
    """Learning curves of a study.

    Attributes:
        panels: Training and held-out accuracy, those that were logged.
        groups: The cells, family by family.
        constant_levels: Number of negatives → accuracy n / (n + 1) of answering "negative" always: where a collapsed
            trial stays.
    """

    panels: tuple[HistoryPanel, ...]
    groups: tuple[CurveGroup, ...]
    constant_levels: dict[int, float]


def history_info(record: StudyRecord) -> HistoryInfo | NotShown:
    """Learning curves of the trials that logged anything, or why there are none."""
    labels = {cell.cell_id: cell.label for cell in group_cells(record)}
    panels = []
    for metric in CURVE_METRICS:
        curves = tuple(curve for trial in record.trials if (curve := _curve(trial, metric, labels[trial.cell_id])).steps)
        if curves:
            panels.append(HistoryPanel(metric, metric_label(metric), curves))
    if not panels:
        return NotShown("No trial has logged its accuracy yet.", True)
    return HistoryInfo(tuple(panels), _groups(record), {count: count / (count + 1) for count in _negative_counts(record)})


def _groups(record: StudyRecord) -> tuple[CurveGroup, ...]:
    cells, varied = group_cells(record), varied_knobs(record)
    hue = next((name for name in _FAMILIES if name in varied), None)
    coloured = {cell.cell_id for cell in (cells if len(cells) <= COLOURED_CELLS else ranked(record)[:BEST_COLOURED])}
    families: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: [_order(cell.knobs.get(name)) for name in varied]):
        families.setdefault(str(cell.knobs.get(hue, "")) if hue else "", []).append(cell)
    groups = []
    for family, members in families.items():
        shown = [cell for cell in members if cell.cell_id in coloured]
        groups += [CurveGroup(cell.cell_id, cell.label, family, place, len(shown), True) for place, cell in enumerate(shown)]
        groups += [CurveGroup(cell.cell_id, cell.label, family, 0, len(shown), False) for cell in members if cell.cell_id not in coloured]
    return tuple(groups)


def _order(value: Any) -> tuple[bool, float, str]:
    """Numbers by size, words by alphabet, absence first."""
    return (True, float(value), "") if isinstance(value, float | int) else (False, 0.0, "" if value is None else str(value))


def _curve(trial: TrialRecord, metric: str, label: str) -> Curve:
    logged = {report.step: report.metrics[metric] for report in trial.history if math.isfinite(report.metrics.get(metric, math.nan))}
    steps = tuple(sorted(logged))
    return Curve(trial.number, trial.seed, trial.cell_id, label, trial.outcome, steps, tuple(logged[step] for step in steps))


def _negative_counts(record: StudyRecord) -> list[int]:
    default = NegativesConfig().count
    return sorted({int(catalog_knobs(trial).get("negative_count", default)) for trial in record.trials})
