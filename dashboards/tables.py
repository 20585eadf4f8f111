"""Tables as HTML components: a study's values beside the paper's, every trial, provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboards.drawing.panels import Point, TablePanels
from dashboards.drawing.sections import scrolling
from study.analysis.cells import catalog_knobs
from study.analysis.cost import duration_text
from study.analysis.labels import (
    interval_text,
    knob_label,
    metric_label,
    number,
    sentence_case,
    value_label,
)
from study.analysis.statistics import Interval
from study.analysis.tables import TrialTableInfo
from study.results.records import TrialRecord

ALL_ROWS = slice(None)

LONG_TEXT = 120
"""Provenance longer than this is folded."""


@dataclass(frozen=True)
class Sort:
    """Order of the trial table, by the key of a column (`trial_columns`)."""

    column: str
    descending: bool


def facts_list(facts: Sequence[tuple[str, str, str]]) -> Component:
    """Numbers in a row, each with its name above and a note below."""
    return html.Dl(
        [
            html.Div(
                [html.Dt(sentence_case(name)), html.Dd(value), html.Dd(note, className="note")]
            )
            for name, value, note in facts
        ],
        className="facts",
    )


def beside_published(first_column: str, info: TablePanels) -> Component:
    """A row per setting, two columns per metric: this study with its interval, and the paper."""
    printed = {
        (_setting(point), panel.metric): point
        for panel in info.published
        for point in (*panel.levels, *panel.points)
    }
    printed_kinds = {series.key for panel in info.published for series in panel.series}
    rows: dict[str, tuple[str, dict[int, Point]]] = {}
    for column, panel in enumerate(info.panels):
        for level in panel.levels:
            rows.setdefault(str(level.x), (_setting(level), {}))[1][column] = level
        for series in panel.series:
            for point in series.points:
                setting = _setting(point)
                name = f"{series.label}, {setting}" if series.label else setting
                # The paper's values are of one adversary: at the same ε another one has none.
                if not printed_kinds & {series.key, ""}:
                    setting = name
                rows.setdefault(name, (setting, {}))[1][column] = point
    met = {setting for setting, _ in rows.values()}
    rows |= {setting: (setting, {}) for setting, _ in printed if setting not in met}
    body = []
    for name, (setting, own) in rows.items():
        cells: list[Component] = [html.Th(name, scope="row")]
        for column, panel in enumerate(info.panels):
            paper = printed.get((setting, panel.metric))
            measured = own[column].interval if column in own else None
            cells += [
                html.Td(with_interval(measured), className="number"),
                html.Td(number(paper.interval.mean) if paper else "–", className="number paper"),
            ]
        body.append(html.Tr(cells))
    top = [html.Th(first_column, rowSpan=2, scope="col")]
    second = []
    for panel in info.panels:
        heading = html.Span(sentence_case(panel.label))
        top.append(html.Th(heading, colSpan=2, scope="colgroup", className="group"))
        second += [column_heading("This study", "number"), column_heading("Paper", "number paper")]
    head = html.Thead([html.Tr(top), html.Tr(second)])
    return scrolling(html.Table([head, html.Tbody(body)], className="data beside"))


def _setting(point: Point) -> str:
    """The name of a row that the study and the paper share."""
    if isinstance(point.x, str):
        return point.x
    return f"{value_label('epsilon_db', point.x)} dB"


def column_heading(text: str, style: str = "") -> Component:
    """A column's heading in a table's first row."""
    return html.Th(text, scope="col", className=style) if style else html.Th(text, scope="col")


def with_interval(interval: Interval | None) -> list[Any]:
    """The mean in full ink, its interval smaller and paler; a dash without one."""
    if interval is None:
        return ["–"]
    mean, _, rest = interval_text(interval).partition(" ")
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


def trial_table(info: TrialTableInfo, sort: Sort, shown: slice = ALL_ROWS) -> Component:
    """The trials in some order; each heading is a button that sorts by its column.

    Args:
        info: All trials.
        sort: Their order.
        shown: The rows to show, in that order.
    """
    columns = trial_columns(info)
    rows = sorted(
        info.trials, key=lambda trial: _sort_key(trial, sort.column), reverse=sort.descending
    )
    rows.sort(key=lambda trial: _value(trial, sort.column) is None)
    numeric = {
        key: all(isinstance(_value(trial, key), float | int | None) for trial in info.trials)
        for key in columns
    }
    head = [_heading(key, label, sort, numeric=numeric[key]) for key, label in columns.items()]
    body = [
        html.Tr([_trial_cell(trial, key, numeric=numeric[key]) for key in columns])
        for trial in rows[shown]
    ]
    return scrolling(
        html.Table([html.Thead(html.Tr(head)), html.Tbody(body)], className="data trials")
    )


def pager(trials: int, shown: slice) -> list[Component]:
    """Buttons to the rows before and after those that are shown; none where all are."""
    rows = shown.stop - shown.start
    if trials <= rows:
        return []
    last = min(shown.stop, trials)
    name: dict[str, Any] = {"aria-label": "Rows of the table"}
    buttons = [
        _to("← Previous", max(0, shown.start - rows), disabled=shown.start == 0),
        html.Span(f"{shown.start + 1:,} – {last:,} of {trials:,} trials"),
        _to("Next →", shown.stop, disabled=shown.stop >= trials),
    ]
    return [html.Nav(buttons, className="pager", **name)]


def _to(text: str, first: int, *, disabled: bool) -> Component:
    """A button that shows the rows from one on."""
    name = {"type": "rows", "first": first}
    return html.Button(text, id=name, className="rows", disabled=disabled, n_clicks=0)


def _heading(key: str, label: str, sort: Sort, *, numeric: bool) -> Component:
    order = ("descending" if sort.descending else "ascending") if key == sort.column else "none"
    state: dict[str, Any] = {"aria-sort": order}
    button = html.Button(
        sentence_case(label), id={"type": "sort", "column": key}, className="sort", n_clicks=0
    )
    return html.Th(button, scope="col", className="number" if numeric else "", **state)


def _value(trial: TrialRecord, key: str) -> Any:
    kind, _, name = key.partition(":")
    if kind == "knob":
        return catalog_knobs(trial.knobs).get(name)
    if kind == "metric":
        return trial.metrics.get(name)
    return getattr(trial, key) or None if key == "duration_s" else getattr(trial, key)


def _sort_key(trial: TrialRecord, column: str) -> tuple[bool, float, str]:
    value = _value(trial, column)
    if isinstance(value, float | int):
        return True, float(value), ""
    return False, 0.0, str(value)


def _trial_cell(trial: TrialRecord, key: str, *, numeric: bool) -> Component:
    value, kind = _value(trial, key), key.partition(":")[0]
    exact: dict[str, Any] = {"data-value": "" if value is None else str(value)}
    if kind == "outcome":
        why = html.Div(trial.reason, className="reason") if trial.reason else None
        return html.Td(
            [html.Span(trial.outcome, className=f"outcome {trial.outcome}"), why], **exact
        )
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
