"""Learning curves drawn: a hue per family of cells, a shade per cell, and the constant answer as the level to leave."""

from __future__ import annotations

import plotly.graph_objects as go

from dashboards.marks import add_level
from dashboards.theme import COLOURS, INK, MUTED, TEMPLATE, WASH, blended, slot
from study.analysis.history import Curve, CurveGroup, HistoryInfo, HistoryPanel
from study.analysis.labels import number

_ENDS = {"diverged": "x", "failed": "x", "pruned": "line-ns-open", "cancelled": "line-ns-open", "running": "circle-open"}
"""How a curve that did not complete ends."""

LIGHTEST = 0.62
"""Share of white in the palest shade of a hue."""


LEAST_SPAN = 0.1
"""Accuracy that the axis spans at least, so that curves which stay at one level look as flat as they are."""


def draw_history(panel: HistoryPanel, info: HistoryInfo) -> go.Figure:
    """One accuracy over training, a line per trial, seeds of a cell in one colour."""
    figure = go.Figure(layout={"template": TEMPLATE, "height": 360, "uirevision": "keep", "margin": {"t": 10}})
    colours = group_colours(info)
    for curve in sorted(panel.curves, key=lambda curve: colours[curve.cell_id] != WASH):
        _add_curve(figure, curve, colours[curve.cell_id], panel.label)
    for count, level in info.constant_levels.items():
        add_level(figure, 1, level, {"color": INK, "width": 1.2, "dash": "1px,3px"})
        where = {"x": 1, "xref": "paper", "xanchor": "right", "y": level, "yanchor": "top", "yshift": -1, "showarrow": False}
        text = f"constant answer with {count} negatives: {level:.4f}"
        figure.add_annotation(text=text, font={"size": 11.5, "color": MUTED}, **where)
    values = [value for curve in panel.curves for value in curve.values] + list(info.constant_levels.values())
    low = min(values)
    high = max(*values, low + LEAST_SPAN)
    pad = 0.08 * (high - low)
    figure.update_yaxes(range=[low - 1.6 * pad, high + pad], tickformat=".2f")
    figure.update_xaxes(title_text="Optimizer step", rangemode="tozero", nticks=7)
    return figure


def group_colours(info: HistoryInfo) -> dict[str, str]:
    """Cell id → colour; cells without one of their own share a pale grey."""
    families = list(dict.fromkeys(group.family for group in info.groups))
    return {group.cell_id: _colour(group, families) for group in info.groups}


def history_key(info: HistoryInfo) -> list[tuple[str, str]]:
    """What the colours mean: (colour, cell in words), then the cells without a colour as one entry."""
    colours = group_colours(info)
    named = [(colours[group.cell_id], group.label) for group in info.groups if group.shown]
    rest = len(info.groups) - len(named)
    return named + ([(WASH, f"{rest} other settings")] if rest else [])


def _colour(group: CurveGroup, families: list[str]) -> str:
    if not group.shown:
        return WASH
    base = COLOURS[slot(group.family, families.index(group.family))]
    return blended(base, LIGHTEST * group.position / max(1, group.size - 1))


def _add_curve(figure: go.Figure, curve: Curve, colour: str, metric: str) -> None:
    title = f"<b>{curve.label}</b><br>trial {curve.trial}, seed {curve.seed}, {curve.outcome}"
    figure.add_scatter(
        x=list(curve.steps),
        y=list(curve.values),
        mode="lines",
        line={"color": colour, "width": 1.7},
        hovertext=[f"{title}<br>step {step}: {metric} {number(value)}" for step, value in zip(curve.steps, curve.values, strict=True)],
        hoverinfo="text",
        meta="curve",
    )
    if curve.outcome in _ENDS:
        marker = {"symbol": _ENDS[curve.outcome], "size": 8, "color": colour, "line": {"color": colour, "width": 1.8}}
        figure.add_scatter(x=[curve.steps[-1]], y=[curve.values[-1]], mode="markers", marker=marker, hoverinfo="skip", meta=curve.outcome)
