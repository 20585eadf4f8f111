"""A study as a page: the answer first, then the figures that make sense for it, the tables, and where it all came from.

The live app shows these components as they are; the report writes the same ones as HTML.
"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from dashboards.figures import (
    draw_epsilon,
    draw_published_epsilon,
    draw_published_sampling,
    draw_ranking,
    draw_sampling,
    draw_temperature,
)
from dashboards.history_figure import draw_history, history_key
from dashboards.tables import Sort, beside_published, cell_table, provenance_list, trial_table
from dashboards.theme import PLOTLY_CONFIG
from study.analysis import (
    NotShown,
    answer_info,
    claim_infos,
    epsilon_info,
    history_info,
    ranking_info,
    sampling_info,
    temperature_info,
    trial_table_info,
)
from study.analysis.cost import cost_info, duration_text
from study.analysis.labels import metric_label, number, sentence_case
from study.analysis.panels import Panel
from study.published import FIGURE_1, SETTING
from study.records import StudyRecord

FIRST_SORT = Sort("number", descending=False)

INTERVALS = (
    "Filled markers are means over seeds, hollow dots the seeds themselves, bars 95 % t-intervals. "
    "An arrow head says that the interval goes on beyond the axis."
)

SEARCHED = "Other knobs differ between these points too: nothing is joined, and no row can be set beside the paper's."

CLAIMS = (
    "What the study set out to show. A claim is supported where the whole 95 % interval of the lead lies above its margin, "
    "not supported where it lies below, and otherwise undecided at this number of seeds."
)

METHOD = (
    "Only complete trials enter a mean; pruned, diverged and failed ones are counted beside it. Differences are taken seed by seed, "
    "over the seeds that two settings share. Intervals are 95 % t-intervals. Those of claims are widened (Bonferroni) where the best of "
    "several settings was picked; the others are not adjusted for that, and claims not for one another."
)


def page(record: StudyRecord, sort: Sort = FIRST_SORT) -> list[Component]:
    """The whole page of a study, partial or finished."""
    sections = [_temperature(record), _epsilon(record), _sampling(record), _ranking(record), _history(record), _trials(record, sort)]
    return [_header(record), *_claims(record), *(section for section in sections if section is not None), _foot(record)]


def graph(name: str, figure: go.Figure) -> Component:
    """A figure at its own height and the page's width."""
    return dcc.Graph(id=name, figure=figure, config=PLOTLY_CONFIG, responsive=True, style={"height": f"{figure.layout.height}px"})


def _header(record: StudyRecord) -> Component:
    answer = answer_info(record)
    spent = sum(trial.duration_s for trial in record.trials)
    ended = record.ended
    facts = [("trials ended", f"{ended} of {max(record.planned, len(record.trials))}", answer.state.partition(": ")[2])]
    if answer.score is not None:
        span = "one seed, no interval" if answer.score.low is None or answer.score.high is None else None
        span = span or f"95 % interval {number(answer.score.low or 0)} – {number(answer.score.high or 0)}"
        facts.append((f"best {metric_label(record.metric)}", number(answer.score.mean), span))
    if answer.comparison is not None and answer.comparison.difference is not None:
        lead = answer.comparison.difference
        effect = "" if lead.effect_size is None else f", effect size {lead.effect_size:.1f}".replace("-", "−")
        facts.append(("lead over the runner-up", number(lead.interval.mean), f"{answer.comparison.verdict}{effect}"))
    cost = cost_info(record)
    against = f"; complete trials × {cost.ratio:.2f} the prediction" if cost else ""
    facts += [("training time", duration_text(spent), f"all trials together{against}")] if spent else []
    return html.Header(
        [
            html.P(["CPC study", html.Span("complete" if record.finished else "in progress", className="state")], className="overline"),
            html.H1(record.name),
            html.P(record.question, className="question"),
            html.Div([html.P(answer.headline, className="headline"), html.P(answer.detail, className="detail")], className="answer"),
            html.Dl(
                [html.Div([html.Dt(sentence_case(name)), html.Dd(value), html.Dd(note, className="note")]) for name, value, note in facts],
                className="facts",
            ),
            html.P(["Corpus: ", record.corpus], className="corpus") if record.corpus else None,
        ]
    )


def _claims(record: StudyRecord) -> list[Component]:
    """What the study set out to show, each with its answer."""
    answers = []
    for info in claim_infos(record):
        verdict = html.Span(sentence_case(info.answer), className=f"verdict {info.answer.replace(' ', '-')}")
        answers.append(html.Li([html.P([info.question, verdict], className="claim"), html.P(info.words, className="found")]))
    return [_section("claims", "Claims", CLAIMS, [html.Ul(answers, className="claims")])] if answers else []


def _temperature(record: StudyRecord) -> Component | None:
    info = temperature_info(record)
    if isinstance(info, NotShown):
        return _pending("temperature", "Temperature and similarity", info)
    lead = f"{sentence_case(metric_label(record.metric))} against the temperature τ that divides the similarity."
    paper = f"The paper's Figure 1 prints no numbers; its text says: {FIGURE_1} ({SETTING})."
    return _section(
        "temperature",
        "Temperature and similarity",
        lead,
        [graph("temperature-figure", draw_temperature(info)), _caption(INTERVALS if info.panel.controlled else SEARCHED), _caption(paper)],
    )


def _epsilon(record: StudyRecord) -> Component | None:
    info = epsilon_info(record)
    if isinstance(info, NotShown):
        return _pending("epsilon", "Size of the perturbation", info)
    lead = "Training accuracy is measured on the perturbed audio, dev accuracy on clean audio."
    ours, paper = graph("epsilon-figure", draw_epsilon(info)), graph("epsilon-published", draw_published_epsilon(info))
    caption = f"{INTERVALS} Bands are the intervals of the levels."
    table = beside_published("Perturbation ε", info.panels, info.published)
    return _section("epsilon", "Size of the perturbation", lead, [_beside(ours, paper, "Table 1"), *_compared(info.panels, caption, table)])


def _sampling(record: StudyRecord) -> Component | None:
    info = sampling_info(record)
    if isinstance(info, NotShown):
        return _pending("sampling", "Where negatives come from", info)
    lead = "Negatives from the same clip (local), from all clips (cross), or from other clips only (exclusive)."
    ours, paper = graph("sampling-figure", draw_sampling(info)), graph("sampling-published", draw_published_sampling(info))
    table = beside_published("Negatives", info.panels, info.published)
    return _section(
        "sampling", "Where negatives come from", lead, [_beside(ours, paper, "Table 2"), *_compared(info.panels, INTERVALS, table)]
    )


def _compared(panels: Sequence[Panel], caption: str, table: Component) -> list[Component]:
    """The table beside the published values, where the study compares like with like."""
    return [_caption(caption), table] if all(panel.controlled for panel in panels) else [_caption(SEARCHED)]


def _ranking(record: StudyRecord) -> Component | None:
    info = ranking_info(record)
    if isinstance(info, NotShown):
        return _pending("ranking", "All settings, ranked", info)
    more = [_caption(f"{info.hidden} more settings are in the table of trials.")] if info.hidden else []
    lead = f"By {info.label}, best mean first."
    if info.front:
        between = " and ".join(metric_label(metric) for metric in info.objectives)
        lead += f" On the front between {between} are the settings that no other beats in each of them."
    return _section("ranking", "All settings, ranked", lead, [graph("ranking-figure", draw_ranking(info)), *more, cell_table(info)])


def _history(record: StudyRecord) -> Component | None:
    info = history_info(record)
    if isinstance(info, NotShown):
        return _pending("history", "Learning curves", info)
    keys = [html.Li([html.Span(className="swatch", style={"background": colour}), label]) for colour, label in history_key(info)]
    figures = [
        html.Figure([html.Figcaption(sentence_case(panel.label)), graph(f"history-{panel.metric}", draw_history(panel, info))])
        for panel in info.panels
    ]
    lead = (
        "One line per trial, seeds of a setting in one colour. A trial that stays at the dotted level answers “negative” whatever it hears."
    )
    marks = "× diverged or failed, | pruned, ○ still running."
    return _section(
        "history", "Learning curves", lead, [html.Ul(keys, className="key"), html.Div(figures, className="pair"), _caption(marks)]
    )


def _trials(record: StudyRecord, sort: Sort) -> Component | None:
    info = trial_table_info(record)
    if isinstance(info, NotShown):
        return _pending("trials", "Trials", info)
    return _section("trials", "Trials", "Click a heading to sort.", [html.Div(trial_table(info, sort), id="trial-table")])


def _foot(record: StudyRecord) -> Component:
    known = [html.H2("Provenance"), provenance_list(record.provenance)] if record.provenance else []
    return html.Footer([*known, html.P(METHOD, className="caption")], id="provenance")


def _beside(ours: Component, published: Component, table: str) -> Component:
    study = html.Figure([html.Figcaption("This study"), ours])
    paper = html.Figure([html.Figcaption([f"The paper, {table} ", html.Span(SETTING)], className="paper"), published])
    return html.Div([study, paper], className="pair")


def _section(name: str, title: str, lead: str, children: Sequence[Component]) -> Component:
    return html.Section([html.H2(title), html.P(lead, className="lead"), *children], id=name)


def _pending(name: str, title: str, info: NotShown) -> Component | None:
    return html.Section([html.H2(title), html.P(info.reason, className="pending")], id=name) if info.pending else None


def _caption(text: str) -> Component:
    return html.P(text, className="caption")
