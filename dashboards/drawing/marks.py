"""The marks of figures: intervals with their seeds, labels at line ends, ranges of axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from dashboards.drawing.panels import Panel, Point
from dashboards.drawing.theme import COLOURS, PAPER_GREY, SYMBOLS, faded
from study.analysis.labels import interval_text, number, value_label
from study.analysis.statistics import Interval

REACH = 1.5
"""Largest share of an axis, in spans of the seeds, that intervals add on either side.

Over few held-out clips, or after picking among many settings, an interval is many times as wide as
the spread of the seeds, and an axis that contained it would flatten what was measured.
"""

LABEL_PX = 15
"""Height of a label at a line's end."""

LABEL_LETTERS = 36
"""Most letters of such a label: more of them would leave no room for the lines."""

End = tuple[float, str, str]
"""A line's end: height, name, colour."""

_Mark = tuple[float | str, float | None]
"""Place on one axis and value on the other; a value of None ends a line."""


def hover(point: Point, metric: str) -> str:
    """Text of a measured point: the cell, its interval, its seeds."""
    seeds = [f"seed {seed}: {number(value)}" for seed, value in sorted(point.seeds.items())]
    return "<br>".join(
        [f"<b>{point.label}</b>", f"{metric} {interval_text(point.interval)}", *seeds]
    )


def value_range(panel: Panel) -> tuple[float, float]:
    """Limits of the value axis: every seed and mean, intervals as far as `REACH` allows."""
    points = [*panel.points, *panel.levels]
    values = [value for point in points for value in (point.interval.mean, *point.seeds.values())]
    low, high = min(values), max(values)
    reach = REACH * max(high - low, 0.01)
    ends = [
        end
        for point in points
        for end in (point.interval.low, point.interval.high)
        if end is not None
    ]
    low, high = max(low - reach, min([low, *ends])), min(high + reach, max([high, *ends]))
    pad = 0.07 * max(high - low, 0.01)
    return low - pad, high + pad


def fixed_range(limits: tuple[float, float]) -> dict[str, Any]:
    """An axis from one limit to the other. A reader's zoom outlives a change of the limits."""
    return {"autorangeoptions": {"minallowed": limits[0], "maxallowed": limits[1]}}


def add_intervals(
    figure: go.Figure,
    row: int,
    places: Sequence[float | str],
    points: Sequence[Point],
    limits: tuple[float, float],
    colour: str,
    *,
    horizontal: bool = False,
) -> None:
    """Draws a bar over each interval; an end beyond the axis is cut there and has an arrow head.

    Args:
        figure: Drawn into.
        row: Row of the subplot, from 1.
        places: Place of each bar on the other axis.
        points: Those without an interval have no bar.
        limits: Limits of the value axis.
        colour: A palette colour.
        horizontal: True if values run along x.
    """
    bars: list[_Mark] = []
    cuts: dict[str, list[_Mark]] = {}
    inset = 0.012 * (limits[1] - limits[0])
    arrows = ("triangle-left", "triangle-right") if horizontal else ("triangle-down", "triangle-up")
    for at, point in zip(places, points, strict=True):
        low, high = point.interval.low, point.interval.high
        if low is None or high is None:
            continue
        bars += [(at, max(low, limits[0])), (at, min(high, limits[1])), (at, None)]
        if low < limits[0]:
            cuts.setdefault(arrows[0], []).append((at, limits[0] + inset))
        if high > limits[1]:
            cuts.setdefault(arrows[1], []).append((at, limits[1] - inset))
    line = {"color": faded(colour, 0.42), "width": 5}
    _add_marks(figure, row, bars, horizontal, mode="lines", line=line, meta="interval")
    for symbol, marks in cuts.items():
        marker = {"symbol": symbol, "size": 9, "color": colour}
        _add_marks(figure, row, marks, horizontal, marker=marker, meta="cut")


def add_seeds(
    figure: go.Figure,
    row: int,
    places: Sequence[float | str],
    points: Sequence[Point],
    colour: str,
    *,
    horizontal: bool = False,
) -> None:
    """Draws each seed's value, small and hollow: the mean must be what the eye finds first."""
    marks = [
        (at, value)
        for at, point in zip(places, points, strict=True)
        for value in point.seeds.values()
    ]
    marker = {"size": 6, "color": "white", "line": {"color": colour, "width": 1.2}}
    _add_marks(figure, row, marks, horizontal, marker=marker, meta="seeds")


def _add_marks(
    figure: go.Figure, row: int, marks: Sequence[_Mark], horizontal: bool, **style: Any
) -> None:
    """Marks of one series along either axis, without a hover text; nothing where there are none."""
    if not marks:
        return
    places, values = [at for at, _ in marks], [value for _, value in marks]
    x, y = (values, places) if horizontal else (places, values)
    figure.add_scatter(row=row, col=1, x=x, y=y, hoverinfo="skip", **{"mode": "markers"} | style)


def add_means(
    figure: go.Figure,
    row: int,
    xs: Sequence[float | str],
    points: Sequence[Point],
    slot: int,
    metric: str,
    *,
    joined: bool,
) -> None:
    """Draws means of this study's cells, joined where only x differs between them."""
    figure.add_scatter(
        row=row,
        col=1,
        x=list(xs),
        y=[point.interval.mean for point in points],
        mode="lines+markers" if joined and len(points) > 1 else "markers",
        line={"color": COLOURS[slot], "width": 2},
        marker={
            "symbol": SYMBOLS[slot],
            "size": 11,
            "color": COLOURS[slot],
            "line": {"color": "white", "width": 1.5},
        },
        hovertext=[hover(point, metric) for point in points],
        hoverinfo="text",
        meta="means",
    )


def add_published(figure: go.Figure, row: int, points: Sequence[Point], metric: str) -> None:
    """Draws the paper's values: hollow markers on a dashed grey line."""
    figure.add_scatter(
        row=row,
        col=1,
        x=[point.x for point in points],
        y=[point.interval.mean for point in points],
        mode="lines+markers",
        line={"color": PAPER_GREY, "width": 1.5, "dash": "5px,4px"},
        marker={
            "symbol": "circle",
            "size": 10,
            "color": "white",
            "line": {"color": PAPER_GREY, "width": 1.8},
        },
        hovertext=[
            f"<b>{point.label}</b><br>{metric} {number(point.interval.mean)}"
            "<br>printed in the paper"
            for point in points
        ],
        hoverinfo="text",
        meta="published",
    )


def add_text(figure: go.Figure, text: str, size: float, colour: str, **place: Any) -> None:
    """Writes a text without an arrow, at x as a share of the plot's width."""
    font = {"size": size, "color": colour}
    figure.add_annotation(text=text, font=font, xref="paper", showarrow=False, **place)


def add_level(figure: go.Figure, row: int, height: float, line: Mapping[str, Any]) -> None:
    """Draws a line across the plot at a reference value, under the points."""
    _add_shape(figure, row, (height, height), type="line", line=dict(line))


def add_band(
    figure: go.Figure, row: int, interval: Interval, limits: tuple[float, float], colour: str
) -> None:
    """Draws the interval of a reference value as a pale band, as far as the axis goes."""
    if interval.low is None or interval.high is None:
        return
    ends = max(interval.low, limits[0]), min(interval.high, limits[1])
    _add_shape(figure, row, ends, type="rect", fillcolor=faded(colour, 0.07), line_width=0)


def _add_shape(figure: go.Figure, row: int, ends: tuple[float, float], **style: Any) -> None:
    axis = str(row) if row > 1 else ""
    figure.add_shape(
        x0=0,
        x1=1,
        xref=f"x{axis} domain",
        y0=ends[0],
        y1=ends[1],
        yref=f"y{axis}",
        layer="below",
        **style,
    )


def label_ends(
    figure: go.Figure, row: int, ends: Sequence[End], limits: tuple[float, float], plot_px: float
) -> None:
    """Writes names at the right end of lines, in their colours, apart where they would touch."""
    named = [end for end in ends if end[1]]
    if not named:
        return
    gap = LABEL_PX * (limits[1] - limits[0]) / plot_px
    heights = spread([height for height, _, _ in named], gap)
    axis = f"y{row if row > 1 else ''}"
    for (_, text, colour), height in zip(named, heights, strict=True):
        add_text(figure, text, 12, colour, x=1, xanchor="left", xshift=6, y=height, yref=axis)
    figure.update_layout(margin_r=label_room(text for _, text, _ in named))


def shortened(text: str) -> str:
    """A name as a label has room for it; the hover text of its points has all of it."""
    return text if len(text) <= LABEL_LETTERS else f"{text[: LABEL_LETTERS - 1].rstrip(' ,')}…"


def label_room(texts: Iterable[str]) -> float:
    """Pixels that labels take to the right of the axis."""
    return 16 + 6.4 * max(map(len, texts), default=0)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Heights moved apart, as little as their order allows, until neighbours are `gap` away."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    moved = list(heights)
    for _ in range(len(heights) ** 2):
        worst = max((gap - (moved[b] - moved[a]) for a, b in pairwise(order)), default=0.0)
        if worst <= gap * 1e-3:
            break
        for a, b in pairwise(order):
            lack = gap - (moved[b] - moved[a])
            if lack > 0:
                moved[a], moved[b] = moved[a] - lack / 2, moved[b] + lack / 2
    return moved


def log_dodge(x: float, index: int, count: int, xs: Sequence[float]) -> float:
    """Moves x a little on a log axis, so that intervals of several lines do not cover another."""
    width = math.log10(max(xs) / min(xs)) or 1.0
    return float(x * 10 ** (0.035 * width * (index - (count - 1) / 2)))


def ticks(knob: str, xs: Sequence[float], many: Sequence[float]) -> dict[str, Any]:
    """Ticks of a knob's axis: at each x, or at round values where there are many."""
    shown = xs if len(xs) <= 8 else many
    return {"tickvals": shown, "ticktext": [value_label(knob, x) for x in shown]}


def tick_format(limits: tuple[float, float]) -> str:
    """As many decimals as the axis needs, the same for every tick."""
    return ".3f" if limits[1] - limits[0] < 0.03 else ".2f"
