"""Score against the size of the perturbation: the paper's Table 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import plotly.graph_objects as go
from dash.development.base_component import Component

from dashboards.drawing.marks import ticks
from dashboards.drawing.panels import (
    Panel,
    Point,
    Series,
    TablePanels,
    measured,
    not_measured,
    not_varied,
    panel_of,
    point_of,
    published_point,
    table_metrics,
)
from dashboards.drawing.sections import INTERVALS, beside_paper, compared, graph, lead
from dashboards.drawing.stacked_panels import draw_measured, draw_published
from dashboards.tables import beside_published
from study.analysis.cells import Cell, NotShown, cells_varying, names_varying
from study.analysis.labels import cell_label, knob_label, metric_label
from study.analysis.published import TABLE_1, published_metrics
from study.results.records import StudyRecord


class EpsilonFigure:
    """Accuracy and mAP against ε, beside the levels of the references."""

    name = "epsilon"
    title = "Size of the perturbation"

    def info(self, record: StudyRecord) -> TablePanels | NotShown:
        """Panels over ε in dB; levels are training without adversary and with Gaussian noise.

        Noise of several strengths is a line. A search has no levels: there the points differ in
        more than ε.
        """
        cells = cells_varying(record, "adversary", "epsilon_db", "steps")
        noise = {
            cell.knobs.get("epsilon_db")
            for cell in cells
            if cell.knobs.get("adversary") == "gaussian"
        }
        references = ("none", "gaussian") if len(noise) == 1 else ("none",)
        levels = [cell for cell in cells if cell.knobs.get("adversary") in references]
        attacked = [cell for cell in cells if "epsilon_db" in cell.knobs and cell not in levels]
        both = [*attacked, *levels]
        worth_drawing = attacked and levels
        missing = None if worth_drawing else not_varied(attacked, "epsilon_db")
        missing = missing or not_measured(both, table_metrics(record))
        if missing:
            return missing
        metrics = measured(both, table_metrics(record))
        panels = [panel_of(attacked, "epsilon_db", "adversary", metric) for metric in metrics]
        return TablePanels(
            tuple(
                replace(
                    panel,
                    levels=tuple(
                        _level(cell, levels, panel.metric)
                        for cell in levels
                        if panel.metric in cell.metrics
                    ),
                )
                if panel.controlled
                else panel
                for panel in panels
            ),
            tuple(map(_published, published_metrics(metrics))),
        )

    def draw(self, info: TablePanels) -> go.Figure:
        """Table 1 on this study."""
        return _epsilon_axis(draw_measured(info.panels), info.panels)

    def draw_published(self, info: TablePanels) -> go.Figure:
        """Table 1 as the paper prints it."""
        return _epsilon_axis(draw_published(info.published), info.published)

    def section(self, info: TablePanels) -> list[Component]:
        """The study's figure beside the paper's, and both as a table."""
        table = beside_published("Perturbation ε", info)
        return [
            lead(
                "Training accuracy is measured on the perturbed audio, dev accuracy on clean audio."
            ),
            beside_paper(
                graph("epsilon-figure", self.draw(info)),
                graph("epsilon-published", self.draw_published(info)),
                "Table 1",
            ),
            *compared(info, f"{INTERVALS} Bands are the intervals of the levels.", table),
        ]


def _level(cell: Cell, cells: Sequence[Cell], metric: str) -> Point:
    """Reference cell, by its adversary alone where that names one of the cells.

    Where the cells of an adversary differ in their steps, the shortest training has that name.
    """
    kind = str(cell.knobs["adversary"])
    alike = [other.knobs for other in cells if other.knobs["adversary"] == kind]
    name, key = cell_label({"adversary": kind}), kind
    if names_varying(alike) == ("steps",):
        factor = cell.knobs["steps"] / min(knobs["steps"] for knobs in alike)
        if factor > 1:
            name, key = f"{name}, {factor:g} × the steps", f"{kind}, longer"
    elif len(alike) > 1:
        name = cell.label
    return point_of(cell, name, metric, key)


def _published(metric: str) -> Panel:
    points, levels = [], []
    for row in TABLE_1:
        kind = {"adversary": row.adversary}
        if row.epsilon_db is None:
            levels.append(published_point(cell_label(kind), cell_label(kind), row, metric))
        else:
            label = cell_label(kind | {"epsilon_db": row.epsilon_db})
            points.append(published_point(row.epsilon_db, label, row, metric))
    line = Series("fgsm", "", tuple(points), True)
    return Panel(metric, metric_label(metric), (line,), tuple(levels))


def _epsilon_axis(figure: go.Figure, panels: Sequence[Panel]) -> go.Figure:
    xs = sorted({float(point.x) for panel in panels for point in panel.points})
    pad = 0.08 * max(xs[-1] - xs[0], 10)
    figure.update_xaxes(
        range=[xs[0] - pad, xs[-1] + pad],
        **ticks("epsilon_db", xs, (-80.0, -70.0, -60.0, -50.0, -40.0, -30.0)),
    )
    figure.update_xaxes(title_text=knob_label("epsilon_db"), row=len(panels), col=1)
    return figure


FIGURE = EpsilonFigure()
