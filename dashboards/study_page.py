"""A study as a page: the answer first, then the figures that make sense for it, the tables, and
where it all came from.

The live app shows these components as they are; the report writes the same ones as HTML.
"""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from dashboards.drawing.sections import _pending, _section
from dashboards.figures.epsilon import _epsilon
from dashboards.figures.history import _history
from dashboards.figures.ranking import _ranking
from dashboards.figures.sampling import _sampling
from dashboards.figures.temperature import _temperature
from dashboards.tables import Sort, provenance_list, trial_table
from study.analysis import NotShown, answer_info, claim_infos, trial_table_info
from study.analysis.cost import cost_info, duration_text
from study.analysis.labels import metric_label, number, sentence_case
from study.results.records import StudyRecord

FIRST_SORT = Sort("number", descending=False)


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
    sections = [
        _temperature(record),
        _epsilon(record),
        _sampling(record),
        _ranking(record),
        _history(record),
        _trials(record, sort),
    ]
    return [
        _header(record),
        *_claims(record),
        *(section for section in sections if section is not None),
        _foot(record),
    ]


def _header(record: StudyRecord) -> Component:
    answer = answer_info(record)
    spent = sum(trial.duration_s for trial in record.trials)
    ended = record.ended
    facts = [
        (
            "trials ended",
            f"{ended} of {max(record.planned, len(record.trials))}",
            answer.state.partition(": ")[2],
        )
    ]
    if answer.score is not None:
        span = (
            "one seed, no interval"
            if answer.score.low is None or answer.score.high is None
            else None
        )
        span = (
            span
            or f"95 % interval {number(answer.score.low or 0)} – {number(answer.score.high or 0)}"
        )
        facts.append((f"best {metric_label(record.metric)}", number(answer.score.mean), span))
    if answer.comparison is not None and answer.comparison.difference is not None:
        lead = answer.comparison.difference
        effect = (
            ""
            if lead.effect_size is None
            else f", effect size {lead.effect_size:.1f}".replace("-", "−")
        )
        facts.append(
            (
                "lead over the runner-up",
                number(lead.interval.mean),
                f"{answer.comparison.verdict}{effect}",
            )
        )
    cost = cost_info(record)
    against = f"; complete trials × {cost.ratio:.2f} the prediction" if cost else ""
    facts += (
        [("training time", duration_text(spent), f"all trials together{against}")] if spent else []
    )
    return html.Header(
        [
            html.P(
                [
                    "CPC study",
                    html.Span("complete" if record.finished else "in progress", className="state"),
                ],
                className="overline",
            ),
            html.H1(record.name),
            html.P(record.question, className="question"),
            html.Div(
                [
                    html.P(answer.headline, className="headline"),
                    html.P(answer.detail, className="detail"),
                ],
                className="answer",
            ),
            html.Dl(
                [
                    html.Div(
                        [
                            html.Dt(sentence_case(name)),
                            html.Dd(value),
                            html.Dd(note, className="note"),
                        ]
                    )
                    for name, value, note in facts
                ],
                className="facts",
            ),
            html.P(["Corpus: ", record.corpus], className="corpus") if record.corpus else None,
        ]
    )


def _claims(record: StudyRecord) -> list[Component]:
    """What the study set out to show, each with its answer."""
    answers = []
    for info in claim_infos(record):
        verdict = html.Span(
            sentence_case(info.answer), className=f"verdict {info.answer.replace(' ', '-')}"
        )
        answers.append(
            html.Li(
                [
                    html.P([info.question, verdict], className="claim"),
                    html.P(info.words, className="found"),
                ]
            )
        )
    return (
        [_section("claims", "Claims", CLAIMS, [html.Ul(answers, className="claims")])]
        if answers
        else []
    )


def _trials(record: StudyRecord, sort: Sort) -> Component | None:
    info = trial_table_info(record)
    if isinstance(info, NotShown):
        return _pending("trials", "Trials", info)
    return _section(
        "trials",
        "Trials",
        "Click a heading to sort.",
        [html.Div(trial_table(info, sort), id="trial-table")],
    )


def _foot(record: StudyRecord) -> Component:
    known = [html.H2("Provenance"), provenance_list(record.provenance)] if record.provenance else []
    return html.Footer([*known, html.P(METHOD, className="caption")], id="provenance")
