"""Learning curves: a hue per family of cells, a shade per cell, the constant answer as a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import plotly.graph_objects as go
from dash import html
from dash.development.base_component import Component
from numpy.typing import NDArray

from cpc_core.config import Accuracy, NegativesConfig
from cpc_core.report import Outcome
from dashboards.drawing.marks import (
    End,
    add_level,
    add_text,
    fixed_range,
    label_ends,
    label_room,
    shortened,
)
from dashboards.drawing.sections import caption, graph, lead
from dashboards.drawing.stacked_panels import add_name
from dashboards.drawing.theme import COLOURS, INK, MUTED, TEMPLATE, WASH, blended, slots
from dashboards.drawing.thinning import thinned
from study.analysis.cells import (
    Cell,
    NotShown,
    catalog_knobs,
    cell_labels,
    group_cells,
    ranked,
    varied_knobs,
)
from study.analysis.labels import metric_label, sentence_case
from study.results.records import StudyRecord, TrialRecord

COLOURED_CELLS = 12
"""Up to so many cells have a colour each; of more, only the best `BEST_COLOURED`."""

BEST_COLOURED = 4

LIGHTEST = 0.62
"""Share of white in the palest shade of a hue."""

LEAST_SPAN = 0.1
"""Accuracy that the axis spans at least, so that curves which stay at one level look flat."""

HEIGHT_PX = 360

POINTS = 20_000
"""About as many points a figure's coloured curves have together, and as many its other ones."""

MOST_POINTS, FEWEST_POINTS = 400, 8
"""Of a curve: no figure is wider than some hundred pixels, and fewer points show no shape."""

NAMED_CURVES = 200
"""Of more curves in one colour a hover text names the trial alone, without its setting."""

_FAMILIES = ("similarity", "adversary", "negatives")
"""Knobs that give a hue, the first that varies."""

_ENDS = {
    "diverged": "x",
    "failed": "x",
    "pruned": "line-ns-open",
    "cancelled": "line-ns-open",
    "running": "circle-open",
}
"""Symbol at the end of a curve that did not complete."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One trial's learning curve.

    Attributes:
        cell_id: Its cell: curves of one cell share a colour.
        label: The cell's label.
        steps: `[n]` optimizer steps, ascending.
        values: `[n]`, the metric at each step; finite.
    """

    trial: int
    seed: int
    cell_id: str
    label: str
    outcome: Outcome
    steps: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CurveGroup:
    """The colour of one cell's curves.

    Attributes:
        cell_id: The cell.
        label: The cell's label.
        family: Value of the knob that gives the hue, for example `dot`; empty where no such knob
            varies.
        shade: Place among the family's cells in order of their other knobs, from 0 to 1; None
            without a colour of its own.
    """

    cell_id: str
    label: str
    family: str
    shade: float | None


@dataclass(frozen=True)
class HistoryInfo:
    """Learning curves of a study.

    Attributes:
        curves: Training and held-out accuracy, those that were logged → a curve per trial.
        groups: The cells, family by family.
        constant_levels: Number of negatives → accuracy of an answer that ignores the audio: where a
            collapsed trial stays.
    """

    curves: dict[str, tuple[Curve, ...]]
    groups: tuple[CurveGroup, ...]
    constant_levels: dict[int, float]


class HistoryFigure:
    """Accuracy over training, a line per trial."""

    name = "history"
    title = "Learning curves"

    def info(self, record: StudyRecord) -> HistoryInfo | NotShown:
        """Curves of the trials that logged anything, or the reason why there are none."""
        metrics = (f"train_{record.accuracy}", f"dev_{record.accuracy}")
        every = {metric: curves_of(record, metric) for metric in metrics}
        curves = {metric: logged for metric, logged in every.items() if logged}
        if not curves:
            return NotShown("No trial has logged its accuracy yet.", True)
        default = NegativesConfig().count
        counts = {
            int(catalog_knobs(trial.knobs).get("negative_count", default))
            for trial in record.trials
        }
        levels = {count: _constant_level(count, record.accuracy) for count in sorted(counts)}
        return HistoryInfo(curves, _groups(record), levels)

    def draw(self, info: HistoryInfo) -> go.Figure:
        """The held-out curves alone, cells named at the ends."""
        metric = list(info.curves)[-1]
        figure = draw_curves(info, metric)
        ends: list[End] = []
        for cell_id, (colour, label) in _coloured(info).items():
            last = [
                float(curve.values[-1]) for curve in info.curves[metric] if curve.cell_id == cell_id
            ]
            if last:
                # Pale colours cannot be read as text.
                ends.append(
                    (
                        fmean(last),
                        f'<span style="color:{colour}">━</span> {shortened(label)}',
                        MUTED,
                    )
                )
        limits = figure.layout.yaxis.autorangeoptions
        height_px = HEIGHT_PX - 80
        label_ends(figure, 1, ends, (limits.minallowed, limits.maxallowed), height_px)
        room = label_room(shortened(label) for _, label in _coloured(info).values())
        figure.update_layout(margin={"t": 34, "r": 20 + room})
        add_name(figure, 1, metric_label(metric))
        return figure

    def section(self, info: HistoryInfo) -> list[Component]:
        """A key of the colours, training accuracy and held-out accuracy."""
        keys = [
            html.Li([html.Span(className="swatch", style={"background": colour}), label])
            for colour, label in history_key(info)
        ]
        figures = []
        for metric in info.curves:
            name = html.Figcaption(sentence_case(metric_label(metric)))
            curves = graph(f"history-{metric}", draw_curves(info, metric))
            figures.append(html.Figure([name, curves]))
        return [
            lead(
                "One line per trial, seeds of a setting in one colour. A trial that stays at the "
                "dotted level answers alike whatever it is played."
            ),
            html.Ul(keys, className="key"),
            html.Div(figures, className="pair"),
            caption("× diverged or failed, | pruned, ○ still running."),
        ]


def curves_of(record: StudyRecord, metric: str) -> tuple[Curve, ...]:
    """The curve of any metric, of every trial that has logged it."""
    labels = cell_labels(record)
    every = (_curve(trial, metric, labels[trial.cell_id]) for trial in record.trials)
    return tuple(curve for curve in every if len(curve.steps))


def draw_curves(info: HistoryInfo, metric: str) -> go.Figure:
    """One accuracy over training, a line per trial, seeds of a cell in one colour."""
    layout = {"template": TEMPLATE, "height": HEIGHT_PX, "uirevision": "keep", "margin": {"t": 10}}
    figure = go.Figure(layout=layout)
    coloured = _coloured(info)
    by_colour: dict[str, list[Curve]] = {WASH: []}
    for curve in info.curves[metric]:
        colour, _ = coloured.get(curve.cell_id, (WASH, ""))
        by_colour.setdefault(colour, []).append(curve)
    context = by_colour[WASH]
    own = [curve for curve in info.curves[metric] if curve.cell_id in coloured]
    for colour, curves in by_colour.items():
        if curves:
            most = _points(context if colour == WASH else own)
            _add_curves(figure, curves, colour, metric_label(metric), most)
    for count, level in info.constant_levels.items():
        add_level(figure, 1, level, {"color": INK, "width": 1.2, "dash": "1px,3px"})
        text = f"constant answer with {count} negatives: {level:.4f}"
        place = {"x": 1, "xanchor": "right", "y": level, "yanchor": "top", "yshift": -1}
        add_text(figure, text, 11.5, MUTED, **place)
    levels = info.constant_levels.values()
    low = min(*(curve.values.min() for curve in info.curves[metric]), *levels)
    high = max(*(curve.values.max() for curve in info.curves[metric]), *levels, low + LEAST_SPAN)
    pad = 0.08 * (high - low)
    figure.update_yaxes(**fixed_range((low - 1.6 * pad, high + pad)), tickformat=".2f")
    figure.update_xaxes(title_text="Optimizer step", rangemode="tozero", nticks=7)
    return figure


def history_key(info: HistoryInfo) -> list[tuple[str, str]]:
    """Colours with the labels of their cells, then cells without a colour as one entry."""
    named = list(_coloured(info).values())
    rest = len(info.groups) - len(named)
    return named + ([(WASH, f"{rest} other settings")] if rest else [])


def _constant_level(negatives: int, accuracy: Accuracy) -> float:
    """Accuracy n / (n + 1) of answering "negative" always; of a ranking, chance 1 / (n + 1)."""
    return (negatives if accuracy == "accuracy" else 1) / (negatives + 1)


def _coloured(info: HistoryInfo) -> dict[str, tuple[str, str]]:
    """Cell id → colour and label of the cells that have a colour of their own."""
    families = list(dict.fromkeys(group.family for group in info.groups))
    hues = dict(zip(families, slots(families), strict=True))
    return {
        group.cell_id: (blended(COLOURS[hues[group.family]], LIGHTEST * group.shade), group.label)
        for group in info.groups
        if group.shade is not None
    }


def _add_curves(
    figure: go.Figure, curves: Sequence[Curve], colour: str, metric: str, most: int
) -> None:
    """Draws curves of one colour as one line with gaps, and marks the ends of those that ended."""
    steps, values, counts = [], [], []
    template, names = _hover(curves)
    for curve in curves:
        kept = thinned(curve.values, most)
        # A gap follows each curve: a value that is none.
        steps.append(np.append(curve.steps[kept], curve.steps[-1]))
        values.append(np.append(curve.values[kept], np.nan))
        counts.append(len(kept) + 1)
    figure.add_scatter(
        x=np.concatenate(steps),
        y=np.concatenate(values).astype(np.float32),
        mode="lines",
        line={"color": colour, "width": 1.7},
        customdata=np.repeat(names, counts),
        hovertemplate=f"{template}<br>step %{{x:d}}: {metric} %{{y:.3f}}<extra></extra>",
        meta="curve",
    )
    for outcome, symbol in _ENDS.items():
        ended = [curve for curve in curves if curve.outcome == outcome]
        if ended:
            figure.add_scatter(
                x=[curve.steps[-1] for curve in ended],
                y=[curve.values[-1] for curve in ended],
                mode="markers",
                marker={
                    "symbol": symbol,
                    "size": 8,
                    "color": colour,
                    "line": {"color": colour, "width": 1.8},
                },
                hoverinfo="skip",
                meta=outcome,
            )


def _hover(curves: Sequence[Curve]) -> tuple[str, NDArray[Any]]:
    """The first lines of the hover text as a template, and what it shows of each curve."""
    if len(curves) > NAMED_CURVES:
        return "trial %{customdata}", np.array([curve.trial for curve in curves])
    own = [f"trial {curve.trial}, seed {curve.seed}, {curve.outcome}" for curve in curves]
    labels = {curve.label for curve in curves}
    if len(labels) == 1:
        return f"<b>{labels.pop()}</b><br>%{{customdata}}", np.array(own, dtype=object)
    named = [f"<b>{curve.label}</b><br>{text}" for curve, text in zip(curves, own, strict=True)]
    return "%{customdata}", np.array(named, dtype=object)


def _points(curves: Sequence[Curve]) -> int:
    """Points of each curve, so that a figure of many stays small."""
    return max(FEWEST_POINTS, min(MOST_POINTS, POINTS // max(1, len(curves))))


def _groups(record: StudyRecord) -> tuple[CurveGroup, ...]:
    cells, varied = group_cells(record), varied_knobs(record)
    hue = next((name for name in _FAMILIES if name in varied), None)
    best = cells if len(cells) <= COLOURED_CELLS else ranked(record)[:BEST_COLOURED]
    coloured = {cell.cell_id for cell in best}
    families: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: [_order(cell.knobs.get(name)) for name in varied]):
        families.setdefault(str(cell.knobs.get(hue, "")) if hue else "", []).append(cell)
    groups = []
    for family, members in families.items():
        members.sort(key=lambda cell: cell.cell_id not in coloured)
        last = sum(cell.cell_id in coloured for cell in members) - 1
        for place, cell in enumerate(members):
            shade = place / max(1, last) if place <= last else None
            groups.append(CurveGroup(cell.cell_id, cell.label, family, shade))
    return tuple(groups)


def _order(value: Any) -> tuple[bool, float, str]:
    """Sorting key: numbers by size, words by alphabet, absence first."""
    if isinstance(value, float | int):
        return True, float(value), ""
    return False, 0.0, "" if value is None else str(value)


def _curve(trial: TrialRecord, metric: str, label: str) -> Curve:
    logged = trial.history.curve(metric)
    return Curve(
        trial.number,
        trial.seed,
        trial.cell_id,
        label,
        trial.outcome,
        logged.steps,
        logged.values,
    )


FIGURE = HistoryFigure()
