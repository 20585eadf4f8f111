"""Figures of a probe: scores with their intervals, classes, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboards.drawing.theme import COLOURS, FAINT, INK, MUTED, PAPER_GREY, RULE, TEMPLATE

_ROW_PX = 22
_NO_TOOLS = {"remove": ["toimage", "zoom", "pan", "resetscale"]}


def draw_scores(rows: Sequence[Mapping[str, Any]], metric: str, label: str) -> go.Figure:
    """A row per model: its score with its interval; chance is a line through all of them.

    Args:
        rows: With `model`, the metric, and its ends `…_low` and `…_high`, or None for none.
        metric: Name of the column.
        label: Title of the axis.
    """
    models = [row for row in rows if row["model"] != "chance"]
    figure = _rows([row["model"] for row in models], _ROW_PX * 1.6, label)
    for place, row in enumerate(models):
        low, high = row[f"{metric}_low"], row[f"{metric}_high"]
        figure.add_scatter(
            x=[row[metric]],
            y=[row["model"]],
            mode="markers+text",
            marker={"size": 10, "color": COLOURS[place % len(COLOURS)]},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [high - row[metric]],
                "arrayminus": [row[metric] - low],
                "thickness": 2,
                "width": 0,
            },
            text=[f"{row[metric]:.3f}"],
            textposition="top center",
            cliponaxis=False,
            textfont={"size": 12, "color": INK},
            hovertemplate=f"%{{y}}: %{{x:.3f}} [{low:.3f}, {high:.3f}]<extra></extra>",
        )
    for chance in (row[metric] for row in rows if row["model"] == "chance"):
        figure.add_vline(x=chance, line={"color": PAPER_GREY, "width": 1.5, "dash": "dot"})
        figure.add_annotation(
            x=chance, y=1, yref="paper", yanchor="bottom", xanchor="left", showarrow=False,
            text="chance", font={"size": 11.5, "color": MUTED},
        )  # fmt: skip
    return figure


def draw_classes(
    classes: Sequence[Mapping[str, Any]], baseline: Mapping[str, float], name: str
) -> go.Figure:
    """A bar per class with its average precision, the best first, and a mark of a baseline.

    Args:
        classes: With `class`, `average_precision` and `positives`.
        baseline: Class → average precision of the baseline.
        name: Of the baseline.
    """
    ordered = sorted(classes, key=lambda each: -float(each["average_precision"]))
    names = [each["class"] for each in ordered]
    figure = _rows(names, _ROW_PX, "Average precision")
    figure.add_bar(
        y=names,
        x=[each["average_precision"] for each in ordered],
        orientation="h",
        marker_color=COLOURS[0],
        customdata=[each["positives"] for each in ordered],
        hovertemplate="%{y}: %{x:.3f}, %{customdata} clips<extra></extra>",
    )
    marked = [each for each in names if each in baseline]
    figure.add_scatter(
        y=marked,
        x=[baseline[each] for each in marked],
        mode="markers",
        marker={"symbol": "line-ns", "size": 13, "line": {"width": 2.5, "color": INK}},
        hovertemplate=f"%{{y}}, {name}: %{{x:.3f}}<extra></extra>",
    )
    return figure


def draw_confusion(names: Sequence[str], counts: Sequence[Sequence[int]]) -> go.Figure:
    """Share of the clips of each class (row) that were taken for each class (column)."""
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    side = max(320, 30 * len(names) + 130)
    figure = go.Figure(
        go.Heatmap(
            x=list(names),
            y=list(names),
            z=shares,
            zmin=0,
            zmax=1,
            colorscale=[[0, "#ffffff"], [1, COLOURS[0]]],
            showscale=False,
            xgap=1,
            ygap=1,
            customdata=counts,
            hovertemplate="%{y}, taken for %{x}: %{customdata} clips (%{z:.0%})<extra></extra>",
        ),
        layout={"template": TEMPLATE, "height": side, "plot_bgcolor": RULE, "modebar": _NO_TOOLS},
    )
    if len(names) <= 20:
        for true, row in enumerate(counts):
            for taken, count in enumerate(row):
                if count:
                    figure.add_annotation(
                        x=names[taken], y=names[true], text=str(count), showarrow=False,
                        font={"size": 11.5, "color": "white" if shares[true][taken] > 0.5 else INK},
                    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", title_text="Class", showgrid=False, tickmode="linear")
    figure.update_xaxes(title_text="Taken for", tickangle=-45, showline=False, tickmode="linear")
    return figure


def _rows(names: Sequence[str], row_px: float, label: str) -> go.Figure:
    figure = go.Figure(
        layout={
            "template": TEMPLATE,
            "height": round(row_px * len(names)) + 90,
            "bargap": 0.3,
            "margin": {"t": 24, "b": 8, "l": 8, "r": 16},
            "modebar": _NO_TOOLS,
        }
    )
    figure.update_yaxes(
        autorange="reversed", categoryorder="array", categoryarray=list(names), tickmode="linear",
        gridcolor=RULE, ticklabelstandoff=6,
    )  # fmt: skip
    figure.update_xaxes(range=[0, 1.02], title_text=label, showgrid=True, linecolor=FAINT)
    return figure
