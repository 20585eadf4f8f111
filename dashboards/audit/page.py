"""Page of an audit: verdict, findings, distributions, labels, and clips to listen to."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dash import html
from dash.development.base_component import Component

from cpc_core.corpus.audit.findings import AuditResult, ClipRef, Damage, Finding
from cpc_core.storage_path import StoragePath
from dashboards.audit.figures import LABELS_SHOWN, SPLIT_COLOURS, draw_histogram, draw_labels
from dashboards.audit.png import png
from dashboards.drawing.sections import graph, lead, scrolling, section
from dashboards.export.report import self_contained
from dashboards.tables import facts_list
from study.analysis.cost import duration_text
from study.analysis.labels import count_text, sentence_case

if TYPE_CHECKING:
    from cpc_core.corpus.audit.samples import ClipSample

VERDICTS = {"good": "good", "look": "worth a look", "broken": "broken"}


def write_audit(result: AuditResult, samples: Sequence[ClipSample], out: Path) -> Path:
    """Writes an audit as one self-contained HTML file.

    Args:
        result: The audit.
        samples: Its sample clips, read.
        out: The file to write; its folder is created.

    Returns:
        `out`.
    """
    content = audit_page(result, samples)
    page = self_contained(f"{result.corpus} – audit", _headline(result), content)
    StoragePath.of(out).write_text(page)
    return out


def audit_page(result: AuditResult, samples: Sequence[ClipSample]) -> list[Component]:
    """The whole page of an audit."""
    sections = [_header(result), _findings(result), _distributions(result)]
    if result.labels:
        sections.append(_labels(result))
    if samples:
        sections.append(_samples(samples))
    return sections


def _header(result: AuditResult) -> Component:
    splits = " · ".join(f"{rows:,} {split}" for split, rows in result.rows.items())
    clip = f"in clips of {result.clip_s:g} s at {result.sample_rate_hz / 1000:g} kHz"
    commonest = f"most often {result.labels[0].label}" if result.labels else "none"
    state = "damaged" if result.is_broken else "whole"
    return html.Header(
        [
            html.P(["Corpus audit", html.Span(state, className="state")], className="overline"),
            html.H1(result.corpus),
            html.Div(
                [
                    html.P(_headline(result), className="headline"),
                    html.P(_advice(result), className="detail"),
                ],
                className="answer damaged" if result.is_broken else "answer",
            ),
            facts_list(
                [
                    ("clips", f"{sum(result.rows.values()):,}", splits),
                    ("recordings", duration_text(result.audio_s), clip),
                    ("labels", f"{len(result.labels):,}", commonest),
                ]
            ),
            html.P(["Hash ", result.hash], className="corpus"),
        ]
    )


def _headline(result: AuditResult) -> str:
    if result.is_broken:
        shards = count_text(len({damage.shard for damage in result.damages}), "shard")
        return f"Damaged: {shards} of the corpus cannot be trusted."
    looks = sum(finding.verdict == "look" for finding in result.findings)
    if looks:
        return f"Whole, with {count_text(looks, 'thing')} worth a look."
    return "Whole, and nothing stands out."


def _advice(result: AuditResult) -> str:
    if result.is_broken:
        return (
            "Restore the files named below, or import the corpus again. "
            "Training would stop at the first of them."
        )
    leaks = [
        finding.check
        for finding in result.findings
        if "two splits" in finding.check and finding.count
    ]
    if leaks:
        return (
            f"First: {', '.join(leaks)}. "
            "Scores on clips that a model was trained on do not show how well it generalises."
        )
    return (
        "Every shard is byte for byte as it was imported, "
        "and no recording or group is in two splits."
    )


def _findings(result: AuditResult) -> Component:
    head = html.Tr(
        [
            html.Th("Check", scope="col"),
            html.Th("Result", scope="col"),
            html.Th("Count", scope="col", className="number"),
            html.Th("Things counted, and examples", scope="col"),
        ]
    )
    rows = [_finding_row(finding) for finding in result.findings]
    table = html.Table([html.Thead(head), html.Tbody(rows)], className="data findings")
    damages = html.Ul([_damage(damage) for damage in result.damages], className="damages")
    return section(
        "findings",
        "Findings",
        lead("Whether a finding matters is for you to decide; only damage makes the command fail."),
        *([damages] if result.damages else []),
        scrolling(table),
    )


def _damage(damage: Damage) -> Component:
    row_group = "" if damage.row_group is None else f", row group {damage.row_group}"
    return html.Li([html.Strong(f"{damage.shard}{row_group}"), f": {damage.reason}"])


def _finding_row(finding: Finding) -> Component:
    verdict = html.Span(VERDICTS[finding.verdict], className=f"verdict {finding.verdict}")
    detail: list[str | Component] = [sentence_case(finding.detail)]
    if finding.examples:
        first = " and ".join(clip.path for clip in finding.examples[0])
        examples = [html.Li(" = ".join(map(_clip, example))) for example in finding.examples]
        detail.append(html.Details([html.Summary(f"for example {first}"), html.Ul(examples)]))
    return html.Tr(
        [
            html.Th(sentence_case(finding.check), scope="row"),
            html.Td(verdict),
            html.Td(f"{finding.count:,}", className="number"),
            html.Td(detail),
        ]
    )


def _clip(clip: ClipRef) -> str:
    return f"{clip.path} ({clip.split}, from {clip.start_s:g} s)"


def _distributions(result: AuditResult) -> Component:
    figures = [
        graph(f"histogram-{histogram.measure.replace(' ', '-')}", draw_histogram(histogram))
        for histogram in result.histograms
    ]
    text = (
        "Clips by each measure, padding not counted. Levels are in dB of full scale; "
        "bandwidth is the highest frequency within 50 dB of the strongest."
    )
    return section(
        "distributions",
        "Distribution of the clips",
        lead(text),
        html.Div(figures, className="thirds"),
    )


def _labels(result: AuditResult) -> Component:
    key = [
        html.Li([html.Span(className="swatch", style={"background": colour}), split])
        for split, colour in SPLIT_COLOURS.items()
        if split in result.rows
    ]
    hidden = len(result.labels) - LABELS_SHOWN
    more: list[str | Component] = [
        f"{hidden:,} rarer labels are not shown; ",
        html.Code("cpc data audit --json"),
        " lists all.",
    ]
    return section(
        "labels",
        "Labels",
        lead("Clips with each label."),
        html.Ul(key, className="key"),
        graph("labels-figure", draw_labels(result.labels)),
        *([html.P(more, className="caption")] if hidden > 0 else []),
    )


def _samples(samples: Sequence[ClipSample]) -> Component:
    text = (
        "Clips of as many labels as possible. Frequency is on the mel scale, up to 8 kHz; "
        "each spectrogram is darkest where its clip is loudest."
    )
    figures = html.Div([_sample(sample) for sample in samples], className="thirds samples")
    return section("samples", "Look and listen", lead(text), figures)


def _sample(sample: ClipSample) -> Component:
    ref = sample.ref
    picture = html.Img(
        src=_data_uri("image/png", png(sample.spectrogram)), alt=f"Spectrogram of {ref.path}"
    )
    player = html.Audio(src=_data_uri("audio/flac", sample.flac), controls=True, preload="metadata")
    label = html.Figcaption(
        [ref.label or "no label", html.Span(f" {ref.split}, {sample.seconds:.2g} s")]
    )
    return html.Figure([label, picture, player, html.P(ref.path, className="path")])


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
