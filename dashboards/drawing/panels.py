"""The common shape of the figures: a metric against one knob, a line per family of cells, levels
for references.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from study.analysis.cells import Cell, NotShown
from study.analysis.labels import cell_label, knob_label, metric_label, value_label
from study.analysis.statistics import Interval

MAX_LINES = 6
"""More lines than this are told apart by nobody."""


@dataclass(frozen=True)
class Point:
    """One cell in a figure.

    Attributes:
        x: The knob's value.
        label: The cell in words.
        interval: Mean and interval of the metric.
        seeds: Seed → value; empty for a published value.
        key: Stable name that fixes the colour of a level, for example `gaussian`.
    """

    x: float | str
    label: str
    interval: Interval
    seeds: Mapping[int, float] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True)
class Series:
    """Points that belong together.

    Attributes:
        key: Stable name that fixes the colour, for example `dot`.
        label: What is written beside the line; empty where the study has but one.
        points: In ascending order of x.
        joined: Whether a line joins them: only where nothing but x differs between them.
    """

    key: str
    label: str
    points: tuple[Point, ...]
    joined: bool


@dataclass(frozen=True)
class Panel:
    """One metric against one knob.

    Attributes:
        metric: The metric.
        label: Its name in words.
        series: The lines.
        levels: References without a value of the knob, drawn as horizontal lines; their x is their
            short name.
    """

    metric: str
    label: str
    series: tuple[Series, ...]
    levels: tuple[Point, ...] = ()

    @property
    def controlled(self) -> bool:
        """Whether nothing but x differs along each line."""
        return all(series.joined for series in self.series)

    @property
    def points(self) -> tuple[Point, ...]:
        """Every point of every series, without the levels."""
        return tuple(point for series in self.series for point in series.points)


def point_of(cell: Cell, x: float | str, metric: str, key: str = "") -> Point:
    """The cell at x, by a metric that it has."""
    return Point(x, cell.label, cell.metrics[metric], cell.values[metric], key)


def panel_of(
    cells: Sequence[Cell], knob: str, family: str, metric: str, order: Callable[[Any], Any] = float
) -> Panel:
    """Cells as lines of a metric over a knob.

    Where few combinations of the other knobs exist, each is a line of its own. Where there are many
    (a search), points are coloured by `family` and not joined, because more than x differs between
    neighbours.

    Args:
        cells: Cells that have the knob.
        knob: The knob on the x-axis.
        family: The knob that colours the points when there are too many combinations.
        metric: The metric on the y-axis; cells without it are left out.
        order: Sorting key of the knob's values.
    """
    having = [cell for cell in cells if metric in cell.metrics]
    others = {cell.cell_id: _others(cells, cell, knob) for cell in having}
    groups: dict[str, list[Cell]] = {}
    for cell in having:
        groups.setdefault(cell_label(others[cell.cell_id]), []).append(cell)
    joined = len(groups) <= MAX_LINES and all(
        len({cell.knobs[knob] for cell in group}) == len(group) for group in groups.values()
    )
    if not joined:
        groups = {}
        for cell in having:
            groups.setdefault(
                cell_label({family: cell.knobs[family]} if family in cell.knobs else {}), []
            ).append(cell)
    series = tuple(
        Series(
            key=str(group[0].knobs[family]) if family in group[0].knobs else label,
            label=label,
            points=tuple(
                point_of(cell, cell.knobs[knob], metric)
                for cell in sorted(group, key=lambda cell: order(cell.knobs[knob]))
            ),
            joined=joined,
        )
        for label, group in groups.items()
    )
    return Panel(metric, metric_label(metric), series)


def _others(cells: Sequence[Cell], cell: Cell, knob: str) -> dict[str, Any]:
    """The cell's other knobs that differ among the cells."""
    names = {name for each in cells for name in each.knobs} - {knob}
    varied = {
        name
        for name in names
        if len({repr(each.knobs[name]) if name in each.knobs else None for each in cells}) > 1
    }
    return {name: cell.knobs[name] for name in varied if name in cell.knobs}


TABLE_METRICS = ("train_accuracy", "dev_accuracy", "dev_map")
"""The columns that Tables 1 and 2 share."""


def _not_varied(cells: Sequence[Cell], knob: str) -> NotShown | None:
    values = list(dict.fromkeys(cell.knobs[knob] for cell in cells))
    if len(values) > 1:
        return None
    name = knob_label(knob)
    return NotShown(
        f"{name} does not vary in this study: {'it was not sampled' if not values else value_label(knob, values[0])}.",
        False,
    )


def _not_measured(cells: Sequence[Cell], metrics: Sequence[str]) -> NotShown | None:
    if _measured(cells, metrics):
        return None
    return NotShown(
        f"No complete trial has measured {' or '.join(metric_label(metric) for metric in metrics)}.",
        True,
    )


def _measured(cells: Sequence[Cell], metrics: Sequence[str]) -> tuple[str, ...]:
    return tuple(metric for metric in metrics if any(metric in cell.metrics for cell in cells))


def _value(value: float) -> Interval:
    return Interval(value, None, None, 1)
