"""Page of a probe: the scores of models beside baselines, as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dash import html
from dash.development.base_component import Component

from cpc_core.storage_path import StoragePath
from dashboards.drawing.sections import caption, graph, lead, scrolling, section
from dashboards.export.report import self_contained
from dashboards.probe.figures import draw_classes, draw_confusion, draw_scores
from dashboards.tables import facts_list
from study.analysis.labels import number, sentence_case

TITLES = {
    "mAP": "Mean average precision",
    "auc": "AUC",
    "d_prime": "d′",
    "lwlrap": "lwlrap",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
}


@dataclass(frozen=True)
class ProbeResult:
    """Scores of models on a corpus.

    Attributes:
        corpus: Its name.
        task: What was classified, in words.
        protocol: How.
        metrics: Columns of the table, the main one first.
        rows: A row per model, and one of chance: the metrics, with `…_low` and `…_high` where they
            have an interval.
        classes: Model → a row per class, with `class`, `positives` and `average_precision`.
        confusion: Classes, and how many clips of each were taken for each, of the first model; None
            of tags.
        notes: Sentences on what was scored.
    """

    corpus: str
    task: str
    protocol: str
    metrics: tuple[str, ...]
    rows: Sequence[Mapping[str, Any]]
    classes: Mapping[str, Sequence[Mapping[str, Any]]]
    confusion: tuple[Sequence[str], Sequence[Sequence[int]]] | None
    notes: Sequence[str]


def write_probe(result: ProbeResult, out: Path) -> Path:
    """Writes a probe's scores as one self-contained HTML file, and returns its path."""
    title = f"{result.rows[0]['model']} on {result.corpus} – probe"
    page = self_contained(title, _headline(result), probe_page(result))
    out.parent.mkdir(parents=True, exist_ok=True)
    StoragePath.of(out).write_text(page)
    return out


def probe_page(result: ProbeResult) -> list[Component]:
    """The whole page."""
    main = result.metrics[0]
    first, *others = result.classes
    baseline = "untrained" if "untrained" in others else others[0] if others else first
    marks = {each["class"]: each["average_precision"] for each in result.classes[baseline]}
    parts = [
        _header(result),
        section(
            "scores",
            "Scores",
            lead("Classifiers on frozen features, each fitted and chosen in the same way."),
            graph("scores-figure", draw_scores(result.rows, main, TITLES[main])),
            caption("Bars are 95 % intervals over recordings."),
            scrolling(_table(result)),
        ),
        section(
            "classes",
            "Classes",
            lead(f"Average precision of {first} by class; the black mark is {baseline}."),
            graph("classes-figure", draw_classes(result.classes[first], marks, baseline)),
        ),
    ]
    if result.confusion is not None:
        parts.append(
            section(
                "confusions",
                "Confusions",
                lead(f"Tested clips of each class, and what {first} took them for."),
                graph("confusions-figure", draw_confusion(*result.confusion)),
            )
        )
    parts.append(html.Footer([caption(sentence_case(note)) for note in result.notes]))
    return parts


def _headline(result: ProbeResult) -> str:
    main, first = result.metrics[0], result.rows[0]
    baselines = [row for row in result.rows[1:] if row["model"] in ("untrained", "logmel")]
    words = f"{TITLES[main]} {number(first[main])}"
    for row in baselines:
        apart = first[f"{main}_low"] > row[f"{main}_high"]
        below = first[f"{main}_high"] < row[f"{main}_low"]
        how = "above" if apart else "below" if below else "not apart from"
        words += f", {how} {row['model']} ({number(row[main])})"
    return words + "."


def _header(result: ProbeResult) -> Component:
    facts = []
    for metric in result.metrics:
        span = _ends(result.rows[0], metric).replace(", ", " – ")
        span = f"95 % interval {span}" if span else ""
        facts.append((TITLES[metric], number(result.rows[0][metric]), span))
    return html.Header(
        [
            html.P(["CPC probe"], className="overline"),
            html.H1(str(result.rows[0]["model"])),
            html.P(f"{result.task} of {result.corpus}", className="question"),
            html.Div(
                [
                    html.P(_headline(result), className="headline"),
                    html.P(
                        "Above and below are said where the intervals do not meet; models are "
                        "scored on the same clips.",
                        className="detail",
                    ),
                ],
                className="answer",
            ),
            facts_list(facts),
            html.P(["Protocol: ", result.protocol], className="corpus"),
        ]
    )


def _table(result: ProbeResult) -> Component:
    head = html.Tr(
        [
            html.Th("Model"),
            *(html.Th(TITLES[metric], className="number") for metric in result.metrics),
        ]
    )
    body = [
        html.Tr(
            [
                html.Th(str(row["model"]), scope="row"),
                *(html.Td(_cell(row, metric), className="number") for metric in result.metrics),
            ]
        )
        for row in result.rows
    ]
    return html.Table([html.Thead(head), html.Tbody(body)], className="data")


def _cell(row: Mapping[str, Any], metric: str) -> str:
    if row.get(metric) is None:
        return "–"
    span = _ends(row, metric)
    return number(row[metric]) + (f" [{span}]" if span else "")


def _ends(row: Mapping[str, Any], metric: str) -> str:
    ends = [row.get(f"{metric}_{end}") for end in ("low", "high")]
    return ", ".join(number(end) for end in ends if end is not None)
