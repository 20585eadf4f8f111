"""Tables as HTML components: published beside ours, cells with their intervals, every trial,
provenance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboards.drawing.panels import Panel, Point
from study.analysis.cost import duration_text
from study.analysis.labels import (
    interval_text,
    knob_label,
    metric_label,
    number,
    sentence_case,
    value_label,
)
from study.analysis.tables import TrialRow, TrialTableInfo

LONG_TEXT = 120
"""Provenance longer than this is folded away."""


@dataclass(frozen=True)
class Sort:
    """Order of the trial table.

    Attributes:
        column: Key of the column, see `trial_columns`.
        descending: Largest first.
    """

    column: str
    descending: bool


def beside_published(
    first_column: str, ours: Sequence[Panel], published: Sequence[Panel]
) -> Component:
    """A row per setting, two columns per metric: this study with its interval, and the paper's
    value.
    """
    printed = {
        (_place(point), column): point
        for column, panel in enumerate(published)
        for point in (*panel.levels, *panel.points)
    }
    printed_kinds = {series.key for panel in published for series in panel.series}
    rows: dict[str, tuple[str, dict[int, Point]]] = {}
    for column, panel in enumerate(ours):
        for level in panel.levels:
            rows.setdefault(str(level.x), (_place(level), {}))[1][column] = level
        for series in panel.series:
            for point in series.points:
                name = f"{series.label}, {_place(point)}" if series.label else _place(point)
                # The paper's values are of one adversary: at the same ε another one has none.
                place = _place(point) if printed_kinds & {series.key, ""} else name
                rows.setdefault(name, (place, {}))[1][column] = point
    met = {place for place, _ in rows.values()}
    rows |= {place: (place, {}) for place, _ in printed if place not in met}
    body = []
    for name, (place, own) in rows.items():
        pairs = [(own.get(column), printed.get((place, column))) for column in range(len(ours))]
        cells = [
            cell
            for measured, paper in pairs
            for cell in (_source_cell(measured, 0), _source_cell(paper, 1))
        ]
        body.append(html.Tr([html.Th(name, scope="row"), *cells]))
    top = [html.Th(first_column, rowSpan=2, scope="col")]
    top += [
        html.Th(
            html.Span(sentence_case(panel.label)), colSpan=2, scope="colgroup", className="group"
        )
        for panel in ours
    ]
    sources = (("This study", "number"), ("Paper", "number paper"))
    second = [html.Th(name, scope="col", className=style) for _ in ours for name, style in sources]
    return _scrolling(
        html.Table(
            [html.Thead([html.Tr(top), html.Tr(second)]), html.Tbody(body)], className="data beside"
        )
    )


def _place(point: Point) -> str:
    """What a measured and a printed row share."""
    return (
        f"{value_label('epsilon_db', point.x)} dB"
        if isinstance(point.x, float | int)
        else str(point.x)
    )


def _source_cell(point: Point | None, source: int) -> Component:
    style = "number paper" if source else "number"
    if point is None:
        return html.Td("–", className=style)
    return html.Td(
        number(point.interval.mean) if source else _with_interval(interval_text(point.interval)),
        className=style,
    )


def _with_interval(text: str) -> list[Any]:
    """The mean in full ink, its interval smaller and paler."""
    mean, _, rest = text.partition(" ")
    return [mean, html.Span(f" {rest}", className="interval")]


def trial_columns(info: TrialTableInfo) -> dict[str, str]:
    """Key → heading of the trial table's columns."""
    knobs = {f"knob:{name}": knob_label(name) for name in info.knobs}
    metrics = {f"metric:{name}": metric_label(name) for name in info.metrics}
    return {
        "number": "trial",
        **knobs,
        "seed": "seed",
        "outcome": "outcome",
        **metrics,
        "step": "step",
        "duration_s": "time",
    }


def trial_table(info: TrialTableInfo, sort: Sort) -> Component:
    """Every trial; each heading is a button that sorts by its column."""
    columns = trial_columns(info)
    rows = sorted(info.rows, key=lambda row: _sort_key(row, sort.column), reverse=sort.descending)
    rows.sort(key=lambda row: _value(row, sort.column) is None)
    numeric = {
        key: all(isinstance(_value(row, key), float | int | None) for row in info.rows)
        for key in columns
    }
    head = [_heading(key, label, sort, numeric=numeric[key]) for key, label in columns.items()]
    body = [
        html.Tr([_trial_cell(row, key, numeric=numeric[key]) for key in columns]) for row in rows
    ]
    return _scrolling(
        html.Table([html.Thead(html.Tr(head)), html.Tbody(body)], className="data trials")
    )


def _heading(key: str, label: str, sort: Sort, *, numeric: bool) -> Component:
    order = ("descending" if sort.descending else "ascending") if key == sort.column else "none"
    state: dict[str, Any] = {"aria-sort": order}
    button = html.Button(
        sentence_case(label), id={"type": "sort", "column": key}, className="sort", n_clicks=0
    )
    return html.Th(button, scope="col", className="number" if numeric else "", **state)


def _value(row: TrialRow, key: str) -> Any:
    kind, _, name = key.partition(":")
    if kind == "knob":
        return row.knobs.get(name)
    if kind == "metric":
        return row.metrics.get(name)
    return {
        "number": row.number,
        "seed": row.seed,
        "outcome": row.outcome,
        "step": row.step,
        "duration_s": row.duration_s or None,
    }[kind]


def _sort_key(row: TrialRow, column: str) -> tuple[bool, float, str]:
    value = _value(row, column)
    if isinstance(value, float | int):
        return True, float(value), ""
    return False, 0.0, str(value)


def _trial_cell(row: TrialRow, key: str, *, numeric: bool) -> Component:
    value, kind = _value(row, key), key.partition(":")[0]
    exact: dict[str, Any] = {"data-value": "" if value is None else str(value)}
    if kind == "outcome":
        why = html.Div(row.reason, className="reason") if row.reason else None
        return html.Td([html.Span(row.outcome, className=f"outcome {row.outcome}"), why], **exact)
    if value is None:
        return html.Td("–", className="number quiet" if numeric else "quiet", **exact)
    if kind == "metric":
        text = number(value)
    elif kind == "duration_s":
        text = duration_text(value)
    else:
        text = value_label(key.partition(":")[2], value)
    return html.Td(text, className="number" if numeric else "", **exact)


def provenance_list(provenance: Mapping[str, Any]) -> Component:
    """Versions, hardware and hashes; long values are folded."""
    items = []
    for name, value in _flat(provenance, ""):
        folded = (
            html.Details([html.Summary(f"{len(value):,} characters"), html.Pre(value)])
            if len(value) > LONG_TEXT
            else value
        )
        items += [html.Dt(name), html.Dd(folded)]
    return html.Dl(items, className="provenance")


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)


def _scrolling(table: Component) -> Component:
    """Wide tables scroll inside their own box, so that a phone's page does not."""
    return html.Div(table, className="scroll", tabIndex=0)
