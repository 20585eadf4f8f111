"""Learning curves drawn: a hue per family of cells, a shade per cell, and the constant answer as
the level to leave.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from dash import html
from dash.development.base_component import Component

from cpc_core.config import NegativesConfig
from cpc_core.report import Outcome
from dashboards.drawing.marks import add_level
from dashboards.drawing.sections import _caption, _pending, _section, graph
from dashboards.drawing.theme import COLOURS, INK, MUTED, TEMPLATE, WASH, blended, slot
from study.analysis.cells import Cell, NotShown, catalog_knobs, group_cells, ranked, varied_knobs
from study.analysis.labels import metric_label, number, sentence_case
from study.results.records import StudyRecord, TrialRecord

_ENDS = {
    "diverged": "x",
    "failed": "x",
    "pruned": "line-ns-open",
    "cancelled": "line-ns-open",
    "running": "circle-open",
}
"""How a curve that did not complete ends."""


LIGHTEST = 0.62
"""Share of white in the palest shade of a hue."""


LEAST_SPAN = 0.1
"""Accuracy that the axis spans at least, so that curves which stay at one level look as flat as
they are.
"""


def draw_history(panel: HistoryPanel, info: HistoryInfo) -> go.Figure:
    """One accuracy over training, a line per trial, seeds of a cell in one colour."""
    figure = go.Figure(
        layout={"template": TEMPLATE, "height": 360, "uirevision": "keep", "margin": {"t": 10}}
    )
    colours = group_colours(info)
    for curve in sorted(panel.curves, key=lambda curve: colours[curve.cell_id] != WASH):
        _add_curve(figure, curve, colours[curve.cell_id], panel.label)
    for count, level in info.constant_levels.items():
        add_level(figure, 1, level, {"color": INK, "width": 1.2, "dash": "1px,3px"})
        where = {
            "x": 1,
            "xref": "paper",
            "xanchor": "right",
            "y": level,
            "yanchor": "top",
            "yshift": -1,
            "showarrow": False,
        }
        text = f"constant answer with {count} negatives: {level:.4f}"
        figure.add_annotation(text=text, font={"size": 11.5, "color": MUTED}, **where)
    values = [value for curve in panel.curves for value in curve.values] + list(
        info.constant_levels.values()
    )
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
    """What the colours mean: (colour, cell in words), then the cells without a colour as one
    entry.
    """
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
        hovertext=[
            f"{title}<br>step {step}: {metric} {number(value)}"
            for step, value in zip(curve.steps, curve.values, strict=True)
        ],
        hoverinfo="text",
        meta="curve",
    )
    if curve.outcome in _ENDS:
        marker = {
            "symbol": _ENDS[curve.outcome],
            "size": 8,
            "color": colour,
            "line": {"color": colour, "width": 1.8},
        }
        figure.add_scatter(
            x=[curve.steps[-1]],
            y=[curve.values[-1]],
            mode="markers",
            marker=marker,
            hoverinfo="skip",
            meta=curve.outcome,
        )


def _history(record: StudyRecord) -> Component | None:
    info = history_info(record)
    if isinstance(info, NotShown):
        return _pending("history", "Learning curves", info)
    keys = [
        html.Li([html.Span(className="swatch", style={"background": colour}), label])
        for colour, label in history_key(info)
    ]
    figures = [
        html.Figure(
            [
                html.Figcaption(sentence_case(panel.label)),
                graph(f"history-{panel.metric}", draw_history(panel, info)),
            ]
        )
        for panel in info.panels
    ]
    lead = "One line per trial, seeds of a setting in one colour. A trial that stays at the dotted level answers “negative” whatever it hears."
    marks = "× diverged or failed, | pruned, ○ still running."
    return _section(
        "history",
        "Learning curves",
        lead,
        [html.Ul(keys, className="key"), html.Div(figures, className="pair"), _caption(marks)],
    )


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
        family: Value of the knob that gives the hue, for example `dot`; empty where no such knob
            varies.
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
        constant_levels: Number of negatives → accuracy n / (n + 1) of answering "negative" always:
            where a collapsed trial stays.
    """

    panels: tuple[HistoryPanel, ...]
    groups: tuple[CurveGroup, ...]
    constant_levels: dict[int, float]


def history_info(record: StudyRecord) -> HistoryInfo | NotShown:
    """Learning curves of the trials that logged anything, or why there are none."""
    labels = {cell.cell_id: cell.label for cell in group_cells(record)}
    panels = []
    for metric in CURVE_METRICS:
        curves = tuple(
            curve
            for trial in record.trials
            if (curve := _curve(trial, metric, labels[trial.cell_id])).steps
        )
        if curves:
            panels.append(HistoryPanel(metric, metric_label(metric), curves))
    if not panels:
        return NotShown("No trial has logged its accuracy yet.", True)
    return HistoryInfo(
        tuple(panels),
        _groups(record),
        {count: count / (count + 1) for count in _negative_counts(record)},
    )


def _groups(record: StudyRecord) -> tuple[CurveGroup, ...]:
    cells, varied = group_cells(record), varied_knobs(record)
    hue = next((name for name in _FAMILIES if name in varied), None)
    coloured = {
        cell.cell_id
        for cell in (cells if len(cells) <= COLOURED_CELLS else ranked(record)[:BEST_COLOURED])
    }
    families: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: [_order(cell.knobs.get(name)) for name in varied]):
        families.setdefault(str(cell.knobs.get(hue, "")) if hue else "", []).append(cell)
    groups = []
    for family, members in families.items():
        shown = [cell for cell in members if cell.cell_id in coloured]
        groups += [
            CurveGroup(cell.cell_id, cell.label, family, place, len(shown), True)
            for place, cell in enumerate(shown)
        ]
        groups += [
            CurveGroup(cell.cell_id, cell.label, family, 0, len(shown), False)
            for cell in members
            if cell.cell_id not in coloured
        ]
    return tuple(groups)


def _order(value: Any) -> tuple[bool, float, str]:
    """Numbers by size, words by alphabet, absence first."""
    return (
        (True, float(value), "")
        if isinstance(value, float | int)
        else (False, 0.0, "" if value is None else str(value))
    )


def _curve(trial: TrialRecord, metric: str, label: str) -> Curve:
    logged = {
        report.step: report.metrics[metric]
        for report in trial.history
        if math.isfinite(report.metrics.get(metric, math.nan))
    }
    steps = tuple(sorted(logged))
    return Curve(
        trial.number,
        trial.seed,
        trial.cell_id,
        label,
        trial.outcome,
        steps,
        tuple(logged[step] for step in steps),
    )


def _negative_counts(record: StudyRecord) -> list[int]:
    default = NegativesConfig().count
    return sorted(
        {int(catalog_knobs(trial).get("negative_count", default)) for trial in record.trials}
    )
