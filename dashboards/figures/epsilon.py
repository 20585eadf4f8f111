"""Score against the size of the perturbation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import plotly.graph_objects as go
from dash.development.base_component import Component

from dashboards.drawing.panels import (
    TABLE_METRICS,
    Panel,
    Point,
    Series,
    _measured,
    _not_measured,
    _not_varied,
    _value,
    panel_of,
    point_of,
)
from dashboards.drawing.sections import INTERVALS, _beside, _compared, _pending, _section, graph
from dashboards.drawing.stacked_panels import _draw_measured, _draw_published
from dashboards.tables import beside_published
from study.analysis.cells import Cell, NotShown, cells_varying
from study.analysis.labels import cell_label, knob_label, metric_label, value_label
from study.analysis.published import TABLE_1
from study.results.records import StudyRecord


def draw_epsilon(info: EpsilonInfo) -> go.Figure:
    """Accuracy and mAP against ε, with the levels without adversary and with Gaussian noise: Table
    1 on this study.
    """
    return _epsilon_axis(_draw_measured(info.panels), info.panels)


def draw_published_epsilon(info: EpsilonInfo) -> go.Figure:
    """Table 1 as the paper prints it, on its own scale."""
    return _epsilon_axis(_draw_published(info.published), info.published)


def _epsilon_axis(figure: go.Figure, panels: Sequence[Panel]) -> go.Figure:
    xs = sorted({float(point.x) for panel in panels for point in panel.points})
    shown = xs if len(xs) <= 8 else [-80.0, -70.0, -60.0, -50.0, -40.0, -30.0]
    pad = 0.08 * max(xs[-1] - xs[0], 10)
    figure.update_xaxes(
        tickvals=shown,
        ticktext=[value_label("epsilon_db", x) for x in shown],
        range=[xs[0] - pad, xs[-1] + pad],
    )
    figure.update_xaxes(title_text=knob_label("epsilon_db"), row=len(panels), col=1)
    return figure


def _epsilon(record: StudyRecord) -> Component | None:
    info = epsilon_info(record)
    if isinstance(info, NotShown):
        return _pending("epsilon", "Size of the perturbation", info)
    lead = "Training accuracy is measured on the perturbed audio, dev accuracy on clean audio."
    ours, paper = (
        graph("epsilon-figure", draw_epsilon(info)),
        graph("epsilon-published", draw_published_epsilon(info)),
    )
    caption = f"{INTERVALS} Bands are the intervals of the levels."
    table = beside_published("Perturbation ε", info.panels, info.published)
    return _section(
        "epsilon",
        "Size of the perturbation",
        lead,
        [_beside(ours, paper, "Table 1"), *_compared(info.panels, caption, table)],
    )


_REFERENCES = ("none", "gaussian")


@dataclass(frozen=True)
class EpsilonInfo:
    """The paper's Table 1 on this study: what the size of the perturbation does.

    Attributes:
        panels: Ours, a panel per metric; x is ε in dB, levels are training without adversary and
            with Gaussian noise, which a search does not have: there the points differ in more than
            ε.
        published: The same panels of the paper.
    """

    panels: tuple[Panel, ...]
    published: tuple[Panel, ...]


def epsilon_info(record: StudyRecord) -> EpsilonInfo | NotShown:
    """Train accuracy, dev accuracy and dev mAP against ε, or why there is nothing to draw."""
    cells = cells_varying(record, "adversary", "epsilon_db")
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


def _levels(cells: Sequence[Cell], metric: str) -> tuple[Point, ...]:
    """Reference cells, by their adversary alone where that names one cell."""
    kinds = Counter(cell.knobs["adversary"] for cell in cells)
    points = []
    for cell in cells:
        kind = cell.knobs["adversary"]
        if metric in cell.metrics:
            points.append(
                point_of(
                    cell,
                    cell_label({"adversary": kind}) if kinds[kind] == 1 else cell.label,
                    metric,
                    str(kind),
                )
            )
    return tuple(points)


def _published_epsilon(metrics: Sequence[str]) -> tuple[Panel, ...]:
    panels = []
    for metric in metrics:
        points, levels = [], []
        for row in TABLE_1:
            kind = cell_label({"adversary": row.adversary})
            value = _value(
                {
                    "train_accuracy": row.train_accuracy,
                    "dev_accuracy": row.dev_accuracy,
                    "dev_map": row.dev_map,
                }[metric]
            )
            if row.epsilon_db is None:
                levels.append(Point(kind, kind, value))
            else:
                points.append(
                    Point(
                        row.epsilon_db,
                        cell_label({"adversary": row.adversary, "epsilon_db": row.epsilon_db}),
                        value,
                    )
                )
        panels.append(
            Panel(
                metric,
                metric_label(metric),
                (Series("fgsm", "", tuple(points), True),),
                tuple(levels),
            )
        )
    return tuple(panels)
