"""A study as a page: the answer first, then figures, tables and provenance.

The live app shows these components; the report writes the same ones as HTML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboards.drawing.sections import caption, lead, pending_section, section
from dashboards.figures import FIGURES
from dashboards.figures.base import Figure
from dashboards.tables import Sort, facts_list, provenance_list, trial_table
from study.analysis.answer import AnswerInfo, answer_info
from study.analysis.cells import NotShown
from study.analysis.claims import claim_infos
from study.analysis.cost import cost_info, duration_text
from study.analysis.labels import metric_label, number, sentence_case
from study.analysis.tables import trial_table_info
from study.results.records import StudyRecord

TRIALS = "trials"
"""Name of the part that has the table of trials."""

FIRST_SORT = Sort("number", descending=False)

CLAIMS = (
    "What the study set out to show. A claim is supported where the lead is above its margin, "
    "contradicted where it is below, both together with the other claims (Holm, 5 %), and "
    "undecided where it may be either. Before every planned trial has ended its answer is interim."
)

METHOD = (
    "Only complete trials enter a mean; pruned, diverged and failed ones are counted beside it, "
    "and in a comparison a seed without a result counts against the setting that lacks it. "
    "Differences are taken seed by seed, over the seeds that two settings share. "
    "Intervals are 95 % t-intervals over seeds, and over held-out recordings where a trial kept "
    "its scores by clip; below three seeds there is none. Those of claims and of the best setting "
    "are widened (Bonferroni) where the best of several was picked; the others are not. "
    "A study that adds seeds to an earlier one is a further look, at half the error of the last."
)


def page(record: StudyRecord) -> list[Component]:
    """The whole page of a study, partial or finished."""
    parts = [part(record) for part in PARTS.values()]
    return [part for part in parts if part is not None]


def _figure(figure: Figure[Any], record: StudyRecord) -> Component | None:
    info = figure.info(record)
    if isinstance(info, NotShown):
        return pending_section(figure.name, figure.title, info)
    return section(figure.name, figure.title, *figure.section(info))


def _header(record: StudyRecord) -> Component:
    answer = answer_info(record)
    state = "complete" if record.finished else "in progress"
    return html.Header(
        [
            html.P(["CPC study", html.Span(state, className="state")], className="overline"),
            html.H1(record.name),
            html.P(record.question, className="question"),
            html.Div(
                [
                    html.P(answer.headline, className="headline"),
                    html.P(answer.detail, className="detail"),
                ],
                className="answer",
            ),
            facts_list(_facts(record, answer)),
            html.P(["Corpus: ", record.corpus], className="corpus") if record.corpus else None,
        ]
    )


def _facts(record: StudyRecord, answer: AnswerInfo) -> list[tuple[str, str, str]]:
    """Name, value and note of each number at the top."""
    ended = f"{record.ended} of {max(record.planned, len(record.trials))}"
    facts = [("trials ended", ended, answer.state.partition(": ")[2])]
    if score := answer.score:
        span = "one seed, no interval"
        if score.low is not None and score.high is not None:
            span = f"95 % interval {number(score.low)} – {number(score.high)}"
        facts.append((f"best {metric_label(record.metric)}", number(score.mean), span))
    if answer.comparison is not None and (ahead := answer.comparison.difference):
        note: str = answer.comparison.verdict
        if ahead.effect_size is not None:
            note += f", effect size {ahead.effect_size:.1f}".replace("-", "−")
        facts.append(("lead over the runner-up", number(ahead.interval.mean), note))
    if spent := sum(trial.duration_s for trial in record.trials):
        cost = cost_info(record)
        ratio = f"; complete trials × {cost.ratio:.2f} the prediction" if cost else ""
        facts.append(("training time", duration_text(spent), f"all trials together{ratio}"))
    return facts


def _claims(record: StudyRecord) -> Component | None:
    answers = []
    for info in claim_infos(record):
        style = f"verdict {info.answer}"
        verdict = html.Span(sentence_case(info.answer), className=style)
        answers.append(
            html.Li(
                [
                    html.P([info.question, verdict], className="claim"),
                    html.P(info.words, className="found"),
                ]
            )
        )
    if not answers:
        return None
    return section("claims", "Claims", lead(CLAIMS), html.Ul(answers, className="claims"))


def _trials(record: StudyRecord) -> Component | None:
    info = trial_table_info(record)
    if isinstance(info, NotShown):
        return pending_section(TRIALS, "Trials", info)
    return trials_section(trial_table(info, FIRST_SORT))


def trials_section(*table: Component) -> Component:
    """The section of the table of trials."""
    return section(TRIALS, "Trials", lead("Click a heading to sort."), *table)


def _foot(record: StudyRecord) -> Component:
    parts = [html.H2("Provenance"), provenance_list(record.provenance)] if record.provenance else []
    return html.Footer([*parts, caption(METHOD)], id="provenance")


Part = Callable[[StudyRecord], Component | None]
"""A part of the page; None where a study has nothing for it."""

PARTS: Mapping[str, Part] = {
    "header": _header,
    "claims": _claims,
    **{figure.name: partial(_figure, figure) for figure in FIGURES},
    TRIALS: _trials,
    "provenance": _foot,
}
"""In the order of the page."""
