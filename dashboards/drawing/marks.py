"""The marks that figures are drawn with: an interval with its seeds, labels at line ends, ranges
that stay readable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from dashboards.drawing.panels import Panel, Point
from dashboards.drawing.theme import COLOURS, PAPER_GREY, SYMBOLS, faded
from study.analysis.labels import interval_text, number
from study.analysis.statistics import Interval

REACH = 1.5
"""An axis follows intervals beyond the seeds' own span by at most this many spans on either side:
with two seeds an interval is 13 standard errors wide, and an axis that held it would flatten
everything that was measured.
"""


LABEL_PX = 15
"""Height that a label at a line's end takes."""


End = tuple[float, str, str]
"""A line's end: height, name, colour."""


def hover(point: Point, metric: str) -> str:
    """Text of a measured point: the cell, its interval, its seeds."""
    seeds = [f"seed {seed}: {number(value)}" for seed, value in sorted(point.seeds.items())]
    return "<br>".join(
        [f"<b>{point.label}</b>", f"{metric} {interval_text(point.interval)}", *seeds]
    )


def value_range(panel: Panel) -> tuple[float, float]:
    """Limits of the value axis: every seed and mean, and as much of the intervals as `REACH`
    allows.
    """
    everything = [*panel.points, *panel.levels]
    values = [
        value for point in everything for value in (point.interval.mean, *point.seeds.values())
    ]
    low, high = min(values), max(values)
    span = max(high - low, 0.01)
    ends = [
        end
        for point in everything
        for end in (point.interval.low, point.interval.high)
        if end is not None
    ]
    low, high = (
        max(low - REACH * span, min([low, *ends])),
        min(high + REACH * span, max([high, *ends])),
    )
    pad = 0.07 * max(high - low, 0.01)
    return low - pad, high + pad


def add_interval(
    figure: go.Figure,
    row: int,
    at: float | str,
    interval: Interval,
    limits: tuple[float, float],
    colour: str,
    *,
    horizontal: bool = False,
) -> None:
    """A bar over the interval; an end beyond the axis is cut there and carries an arrow head.

    Args:
        figure: Drawn into.
        row: Row of the subplot, from 1.
        at: Where the bar stands on the other axis.
        interval: Nothing is drawn where it has no ends.
        limits: Limits of the value axis.
        colour: A palette colour.
        horizontal: Whether values run along x.
    """
    if interval.low is None or interval.high is None:
        return
    low, high = max(interval.low, limits[0]), min(interval.high, limits[1])
    line = {"color": faded(colour, 0.42), "width": 5}
    figure.add_scatter(
        row=row,
        col=1,
        **_along([low, high], at, horizontal),
        mode="lines",
        line=line,
        hoverinfo="skip",
        meta="interval",
    )
    inset = 0.012 * (limits[1] - limits[0])
    arrows = ("triangle-left", "triangle-right") if horizontal else ("triangle-down", "triangle-up")
    cuts = [
        (limits[0] + inset, arrows[0], interval.low < limits[0]),
        (limits[1] - inset, arrows[1], interval.high > limits[1]),
    ]
    for value, symbol, beyond in cuts:
        if beyond:
            marker = {"symbol": symbol, "size": 9, "color": colour}
            figure.add_scatter(
                row=row,
                col=1,
                **_along([value], at, horizontal),
                mode="markers",
                marker=marker,
                hoverinfo="skip",
                meta="cut",
            )


def add_seeds(
    figure: go.Figure,
    row: int,
    at: float | str,
    seeds: Mapping[int, float],
    colour: str,
    *,
    horizontal: bool = False,
) -> None:
    """Each seed's own value, small and hollow, so that the mean stays the first thing seen."""
    marker = {"size": 6, "color": "white", "line": {"color": colour, "width": 1.2}}
    values = list(seeds.values())
    figure.add_scatter(
        row=row,
        col=1,
        **_along(values, at, horizontal),
        mode="markers",
        marker=marker,
        hoverinfo="skip",
        meta="seeds",
    )


def _along(values: Sequence[float], at: float | str, horizontal: bool) -> dict[str, Any]:
    across = [at] * len(values)
    return {"x": list(values), "y": across} if horizontal else {"x": across, "y": list(values)}


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
    """Means of this study's cells, joined where only x differs between them."""
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
    """What the paper prints: hollow markers on a dashed grey line."""
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
            f"<b>{point.label}</b><br>{metric} {number(point.interval.mean)}<br>printed in the paper"
            for point in points
        ],
        hoverinfo="text",
        meta="published",
    )


def add_level(figure: go.Figure, row: int, height: float, line: Mapping[str, Any]) -> None:
    """A line across the plot at a reference value, under the points."""
    axis = str(row) if row > 1 else ""
    ends = {
        "x0": 0,
        "x1": 1,
        "xref": f"x{axis} domain",
        "y0": height,
        "y1": height,
        "yref": f"y{axis}",
    }
    figure.add_shape(type="line", line=dict(line), layer="below", **ends)


def add_band(
    figure: go.Figure, row: int, interval: Interval, limits: tuple[float, float], colour: str
) -> None:
    """The interval of a reference value, as a pale band as far as the axis goes."""
    if interval.low is None or interval.high is None:
        return
    axis = str(row) if row > 1 else ""
    ends = {
        "y0": max(interval.low, limits[0]),
        "y1": min(interval.high, limits[1]),
        "yref": f"y{axis}",
    }
    figure.add_shape(
        type="rect",
        x0=0,
        x1=1,
        xref=f"x{axis} domain",
        fillcolor=faded(colour, 0.07),
        line_width=0,
        layer="below",
        **ends,
    )


def label_ends(
    figure: go.Figure, row: int, ends: Sequence[End], limits: tuple[float, float], plot_px: float
) -> None:
    """Names at the right end of lines, in their colours, moved apart where they would touch."""
    named = [end for end in ends if end[1]]
    if not named:
        return
    heights = spread(
        [height for height, _, _ in named], LABEL_PX * (limits[1] - limits[0]) / plot_px
    )
    axis = f"y{row if row > 1 else ''}"
    where = {
        "x": 1,
        "xref": "paper",
        "xanchor": "left",
        "xshift": 6,
        "yref": axis,
        "showarrow": False,
    }
    for (_, text, colour), height in zip(named, heights, strict=True):
        figure.add_annotation(text=text, y=height, font={"size": 12, "color": colour}, **where)
    figure.update_layout(margin_r=16 + 6.4 * max(len(text) for _, text, _ in named))


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Heights moved apart, as little as their order allows, until neighbours are `gap` away: for
    labels at line ends.
    """
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
    """Place of x, moved a little on a log axis, so that the intervals of several lines stand side
    by side.
    """
    width = math.log10(max(xs) / min(xs)) or 1.0
    return float(x * 10 ** (0.035 * width * (index - (count - 1) / 2)))


def tick_format(limits: tuple[float, float]) -> str:
    """As many decimals as the axis needs, the same for every tick."""
    return ".3f" if limits[1] - limits[0] < 0.03 else ".2f"
