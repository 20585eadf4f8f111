"""What the figures of the paper's three experiments show: Figure 1, Table 1 and Table 2, ours and the published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from study.analysis.cells import Cell, NotShown, cells_about
from study.analysis.labels import cell_label, knob_label, metric_label, value_label
from study.analysis.panels import Panel, Point, Series, panel_of, point_of
from study.published import TABLE_1, TABLE_2
from study.records import StudyRecord
from study.statistics import Interval

TABLE_METRICS = ("train_accuracy", "dev_accuracy", "dev_map")
"""The columns that Tables 1 and 2 share."""

SAMPLINGS = ("local", "cross", "exclusive")
"""In the order of Table 2, which is also that of rising training accuracy."""

_REFERENCES = ("none", "gaussian")


@dataclass(frozen=True)
class TemperatureInfo:
    """The paper's Figure 1 on this study: the deciding metric against τ, a line per similarity.

    Attributes:
        panel: The lines; x is τ.
    """

    panel: Panel


@dataclass(frozen=True)
class EpsilonInfo:
    """The paper's Table 1 on this study: what the size of the perturbation does.

    Attributes:
        panels: Ours, a panel per metric; x is ε in dB, levels are training without adversary and with Gaussian noise,
            which a search does not have: there the points differ in more than ε.
        published: The same panels of the paper.
    """

    panels: tuple[Panel, ...]
    published: tuple[Panel, ...]


@dataclass(frozen=True)
class SamplingInfo:
    """The paper's Table 2 on this study: where negatives come from.

    Attributes:
        panels: Ours, a panel per metric; x is `local`, `cross` or `exclusive`.
        published: The same panels of the paper.
    """

    panels: tuple[Panel, ...]
    published: tuple[Panel, ...]


def temperature_info(record: StudyRecord) -> TemperatureInfo | NotShown:
    """The deciding metric against τ, or why there is nothing to draw."""
    cells = [cell for cell in cells_about(record, "temperature", "similarity") if "temperature" in cell.knobs]
    missing = _not_varied(cells, "temperature") or _not_measured(cells, (record.metric,))
    return missing or TemperatureInfo(panel_of(cells, "temperature", "similarity", record.metric))


def epsilon_info(record: StudyRecord) -> EpsilonInfo | NotShown:
    """Train accuracy, dev accuracy and dev mAP against ε, or why there is nothing to draw."""
    cells = cells_about(record, "adversary", "epsilon_db")
    levels = [cell for cell in cells if cell.knobs.get("adversary") in _REFERENCES]
    attacked = [cell for cell in cells if "epsilon_db" in cell.knobs and cell not in levels]
    if not attacked or not levels:
        missing = _not_varied(attacked, "epsilon_db")
        if missing:
            return missing
    missing = _not_measured([*attacked, *levels], TABLE_METRICS)
    if missing:
        return missing
    panels = []
    for metric in _measured([*attacked, *levels], TABLE_METRICS):
        panel = panel_of(attacked, "epsilon_db", "adversary", metric)
        panels.append(replace(panel, levels=_levels(levels, metric) if panel.controlled else ()))
    return EpsilonInfo(tuple(panels), _published_epsilon(tuple(panel.metric for panel in panels)))


def sampling_info(record: StudyRecord) -> SamplingInfo | NotShown:
    """Train accuracy, dev accuracy and dev mAP by sampling strategy, or why there is nothing to draw."""
    cells = [cell for cell in cells_about(record, "negatives") if "negatives" in cell.knobs]
    missing = _not_varied(cells, "negatives") or _not_measured(cells, TABLE_METRICS)
    if missing:
        return missing
    metrics = _measured(cells, TABLE_METRICS)
    panels = tuple(panel_of(cells, "negatives", "similarity", metric, SAMPLINGS.index) for metric in metrics)
    return SamplingInfo(panels, _published_sampling(metrics))


def _not_varied(cells: Sequence[Cell], knob: str) -> NotShown | None:
    values = list(dict.fromkeys(cell.knobs[knob] for cell in cells))
    if len(values) > 1:
        return None
    name = knob_label(knob)
    return NotShown(f"{name} does not vary in this study: {'it was not sampled' if not values else value_label(knob, values[0])}.", False)


def _not_measured(cells: Sequence[Cell], metrics: Sequence[str]) -> NotShown | None:
    if _measured(cells, metrics):
        return None
    return NotShown(f"No complete trial has measured {' or '.join(metric_label(metric) for metric in metrics)}.", True)


def _measured(cells: Sequence[Cell], metrics: Sequence[str]) -> tuple[str, ...]:
    return tuple(metric for metric in metrics if any(metric in cell.metrics for cell in cells))


def _levels(cells: Sequence[Cell], metric: str) -> tuple[Point, ...]:
    """Reference cells, by their adversary alone where that names one cell."""
    kinds = Counter(cell.knobs["adversary"] for cell in cells)
    points = []
    for cell in cells:
        kind = cell.knobs["adversary"]
        if metric in cell.metrics:
            points.append(point_of(cell, cell_label({"adversary": kind}) if kinds[kind] == 1 else cell.label, metric, str(kind)))
    return tuple(points)


def _value(value: float) -> Interval:
    return Interval(value, None, None, 1)


def _published_epsilon(metrics: Sequence[str]) -> tuple[Panel, ...]:
    panels = []
    for metric in metrics:
        points, levels = [], []
        for row in TABLE_1:
            kind = cell_label({"adversary": row.adversary})
            value = _value({"train_accuracy": row.train_accuracy, "dev_accuracy": row.dev_accuracy, "dev_map": row.dev_map}[metric])
            if row.epsilon_db is None:
                levels.append(Point(kind, kind, value))
            else:
                points.append(Point(row.epsilon_db, cell_label({"adversary": row.adversary, "epsilon_db": row.epsilon_db}), value))
        panels.append(Panel(metric, metric_label(metric), (Series("fgsm", "", tuple(points), True),), tuple(levels)))
    return tuple(panels)


def _published_sampling(metrics: Sequence[str]) -> tuple[Panel, ...]:
    panels = []
    for metric in metrics:
        points = []
        for row in TABLE_2:
            value = {"train_accuracy": row.train_accuracy, "dev_accuracy": row.dev_accuracy, "dev_map": row.dev_map}[metric]
            points.append(Point(row.sampling, cell_label({"negatives": row.sampling}), _value(value)))
        panels.append(Panel(metric, metric_label(metric), (Series("", "", tuple(points), True),)))
    return tuple(panels)
