"""Figures of an audit: histograms and label counts."""

from __future__ import annotations

from itertools import pairwise

import plotly.graph_objects as go

from cpc_core.corpus.audit.findings import Histogram, LabelCount
from cpc_core.corpus.manifest import SPLITS
from dashboards.drawing.theme import COLOURS, MUTED, TEMPLATE
from study.analysis.labels import sentence_case

LABELS_SHOWN = 24
SPLIT_COLOURS = dict(zip(SPLITS, COLOURS, strict=False))
_ROW_PX = 19

_NO_TOOLS = {"remove": ["toimage", "zoom", "pan", "resetscale"]}
"""These figures need no buttons, which would cover them."""


def draw_histogram(histogram: Histogram) -> go.Figure:
    """Bars of the clips in each bin of a measure, with a number on the largest."""
    edges, counts = histogram.edges, histogram.counts
    centres = [(low + high) / 2 for low, high in pairwise(edges)]
    widths = [high - low for low, high in pairwise(edges)]
    texts = [
        f"{low:g} to {high:g} {histogram.unit}: {count:,} clips"
        for (low, high), count in zip(pairwise(edges), counts, strict=True)
    ]
    figure = go.Figure(
        layout={
            "template": TEMPLATE,
            "height": 190,
            "bargap": 0.06,
            "margin": {"t": 22, "b": 8, "l": 8, "r": 12},
            "modebar": _NO_TOOLS,
        }
    )
    figure.add_bar(
        x=centres,
        y=counts,
        width=[0.92 * width for width in widths],
        marker_color=COLOURS[0],
        hovertext=texts,
        hoverinfo="text",
    )
    if any(counts):
        top = max(range(len(counts)), key=counts.__getitem__)
        at_edge = {0: "left", len(counts) - 1: "right"}
        figure.add_annotation(
            # A centred number above an outer bar would be cut off in half.
            x={0: edges[0], len(counts) - 1: edges[-1]}.get(top, centres[top]),
            y=counts[top],
            text=f"{counts[top]:,}",
            showarrow=False,
            xanchor=at_edge.get(top, "center"),
            yshift=9,
            font={"size": 12, "color": MUTED},
        )
    figure.update_xaxes(
        title_text=f"{sentence_case(histogram.measure)} ({histogram.unit})",
        range=[edges[0], edges[-1]],
        nticks=7,
    )
    figure.update_yaxes(visible=False, range=[0, 1.12 * max(1, *counts)])
    return figure


def draw_labels(labels: tuple[LabelCount, ...]) -> go.Figure:
    """Bars of the clips with each of the commonest labels, coloured by split."""
    shown = labels[:LABELS_SHOWN]
    names = [label.label for label in shown]
    figure = go.Figure(
        layout={
            "template": TEMPLATE,
            "height": _ROW_PX * len(shown) + 40,
            "barmode": "stack",
            "bargap": 0.3,
        }
    )
    for split, colour in SPLIT_COLOURS.items():
        counts = [label.rows.get(split, 0) for label in shown]
        if any(counts):
            figure.add_bar(
                y=names,
                x=counts,
                orientation="h",
                marker_color=colour,
                hovertemplate=f"%{{y}}: %{{x:,}} {split} clips<extra></extra>",
                name=split,
            )
    for label in shown:
        figure.add_annotation(
            x=label.total,
            y=label.label,
            text=f"{label.total:,}",
            showarrow=False,
            xanchor="left",
            xshift=5,
            font={"size": 11.5, "color": MUTED},
        )
    figure.update_yaxes(
        autorange="reversed",
        tickmode="array",
        tickvals=names,
        showgrid=False,
        tickfont={"size": 12},
        ticklabelstandoff=6,
    )
    figure.update_xaxes(visible=False, range=[0, 1.1 * max(label.total for label in shown)])
    figure.update_layout(margin={"t": 2, "b": 2}, modebar=_NO_TOOLS)
    return figure
