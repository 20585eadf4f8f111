"""The common shape of the figures: a metric against one knob, lines of cells, reference levels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from study.analysis.cells import Cell, NotShown, names_varying
from study.analysis.labels import cell_label, knob_label, metric_label, value_label
from study.analysis.published import AugmentationRow, SamplingRow
from study.analysis.statistics import Interval
from study.results.records import StudyRecord

MAX_LINES = 6
"""Readers cannot distinguish more lines than this."""


@dataclass(frozen=True)
class Point:
    """One cell in a figure.

    Attributes:
        x: The knob's value; of a reference level, its short name.
        label: The cell's label.
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
        label: The text at the line's end; empty where the study has but one.
        points: In ascending order of x.
        joined: True if a line joins them: only where nothing but x differs between them.
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
        label: Its name as text.
        series: The lines.
        levels: References without a value of the knob, drawn as horizontal lines.
    """

    metric: str
    label: str
    series: tuple[Series, ...]
    levels: tuple[Point, ...] = ()

    @property
    def controlled(self) -> bool:
        """True if nothing but x differs along each line."""
        return all(series.joined for series in self.series)

    @property
    def points(self) -> tuple[Point, ...]:
        """Every point of every series, without the levels."""
        return tuple(point for series in self.series for point in series.points)


@dataclass(frozen=True)
class TablePanels:
    """A table of the paper repeated by a study.

    Attributes:
        panels: The study's, a panel per metric.
        published: The same panels of the paper.
    """

    panels: tuple[Panel, ...]
    published: tuple[Panel, ...]

    @property
    def controlled(self) -> bool:
        """True if rows of the study and of the paper can be compared."""
        return all(panel.controlled for panel in self.panels)


def table_metrics(record: StudyRecord) -> tuple[str, str, str]:
    """The columns that Tables 1 and 2 share, with the accuracy that the study's loss trains."""
    return f"train_{record.accuracy}", f"dev_{record.accuracy}", "dev_map"


def point_of(cell: Cell, x: float | str, metric: str, key: str = "") -> Point:
    """The cell at x, by a metric that it has."""
    return Point(x, cell.label, cell.metrics[metric], cell.values[metric], key)


def published_point(
    x: float | str, label: str, row: AugmentationRow | SamplingRow, metric: str
) -> Point:
    """A value that the paper prints, without an interval."""
    return Point(x, label, Interval(getattr(row, metric), None, None, 1))


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
    others = [name for name in names_varying([cell.knobs for cell in cells]) if name != knob]
    having = [cell for cell in cells if metric in cell.metrics]
    groups = _grouped(having, others)
    joined = len(groups) <= MAX_LINES and all(
        len({cell.knobs[knob] for cell in group}) == len(group) for group in groups.values()
    )
    if not joined:
        groups = _grouped(having, [family])
    series = tuple(
        Series(
            key=str(group[0].knobs.get(family, label)),
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


def _grouped(cells: Sequence[Cell], knobs: Sequence[str]) -> dict[str, list[Cell]]:
    """Cells by the label of those knobs."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        own = {name: cell.knobs[name] for name in knobs if name in cell.knobs}
        groups.setdefault(cell_label(own), []).append(cell)
    return groups


def not_varied(cells: Sequence[Cell], knob: str) -> NotShown | None:
    """The reason for no figure where a knob has one value or none."""
    values = list(dict.fromkeys(cell.knobs[knob] for cell in cells))
    if len(values) > 1:
        return None
    only = value_label(knob, values[0]) if values else "it was not sampled"
    return NotShown(f"{knob_label(knob)} does not vary in this study: {only}.", False)


def not_measured(cells: Sequence[Cell], metrics: Sequence[str]) -> NotShown | None:
    """The reason for no figure where no cell has any of the metrics."""
    if measured(cells, metrics):
        return None
    names = " or ".join(metric_label(metric) for metric in metrics)
    return NotShown(f"No complete trial has measured {names}.", True)


def measured(cells: Sequence[Cell], metrics: Sequence[str]) -> tuple[str, ...]:
    """Those of the metrics that some cell has."""
    return tuple(metric for metric in metrics if any(metric in cell.metrics for cell in cells))
