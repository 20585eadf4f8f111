"""An audit as a page: the verdict first, then what was found, how the clips are distributed, and
some of them to hear.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dash import html
from dash.development.base_component import Component

from cpc_core.corpus.audit.findings import AuditResult, ClipRef, Finding
from cpc_core.storage_path import StoragePath
from dashboards.audit.figures import LABELS_SHOWN, SPLIT_COLOURS, draw_histogram, draw_labels
from dashboards.audit.png import png
from dashboards.drawing.sections import graph
from dashboards.export.report import self_contained
from study.analysis.cost import duration_text
from study.analysis.labels import count_text, sentence_case

if TYPE_CHECKING:
    from cpc_core.corpus.audit.samples import ClipSample


VERDICTS = {"good": "good", "look": "worth a look", "broken": "broken"}


def write_audit(info: AuditResult, samples: Sequence[ClipSample], out: Path) -> Path:
    """Write an audit as one self-contained HTML file.

    Args:
        info: The audit.
        samples: Its sample clips, read.
        out: The file to write; its folder is made.

    Returns:
        `out`.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    StoragePath.of(out).write_text(
        self_contained(f"{info.corpus} – audit", _headline(info), audit_page(info, samples))
    )
    return out


def audit_page(info: AuditResult, samples: Sequence[ClipSample]) -> list[Component]:
    """The whole page of an audit."""
    sections = [
        _header(info),
        _findings(info),
        _distributions(info),
        _labels(info),
        _samples(samples),
    ]
    return [section for section in sections if section is not None]


def _header(info: AuditResult) -> Component:
    clips = sum(info.rows.values())
    splits = " · ".join(f"{rows:,} {split}" for split, rows in info.rows.items())
    facts = (
        ("clips", f"{clips:,}", splits),
        (
            "recordings",
            duration_text(info.audio_s),
            f"in clips of {info.clip_s:g} s at {info.sample_rate_hz / 1000:g} kHz",
        ),
        (
            "labels",
            f"{len(info.labels):,}",
            f"most often {info.labels[0].label}" if info.labels else "none",
        ),
    )
    answer = "answer damaged" if info.is_broken else "answer"
    return html.Header(
        [
            html.P(
                [
                    "Corpus audit",
                    html.Span("damaged" if info.is_broken else "whole", className="state"),
                ],
                className="overline",
            ),
            html.H1(info.corpus),
            html.Div(
                [
                    html.P(_headline(info), className="headline"),
                    html.P(_advice(info), className="detail"),
                ],
                className=answer,
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
            html.P(["Hash ", info.hash], className="corpus"),
        ]
    )


def _headline(info: AuditResult) -> str:
    if info.is_broken:
        return f"Damaged: {count_text(len({damage.shard for damage in info.damages}), 'shard')} of the corpus cannot be trusted."
    looks = sum(finding.verdict == "look" for finding in info.findings)
    return (
        f"Whole, with {count_text(looks, 'thing')} worth a look."
        if looks
        else "Whole, and nothing stands out."
    )


def _advice(info: AuditResult) -> str:
    if info.is_broken:
        return "Restore the files named below, or import the corpus again. Training would stop at the first of them."
    leaks = [
        finding.check
        for finding in info.findings
        if "two splits" in finding.check and finding.count
    ]
    if leaks:
        return f"First: {', '.join(leaks)}. What a model has heard in training does not measure how it does on what is new."
    return "Every shard is byte for byte what was imported, and no recording or group is in two splits."


def _findings(info: AuditResult) -> Component:
    head = html.Thead(
        html.Tr(
            [html.Th(name, scope="col") for name in ("Check", "Result")]
            + [html.Th("Count", scope="col", className="number")]
            + [html.Th("What was looked for, and where it is", scope="col")]
        )
    )
    table = html.Table(
        [head, html.Tbody([_finding_row(finding) for finding in info.findings])],
        className="data findings",
    )
    damages = [
        html.Li(
            [
                html.Strong(
                    damage.shard
                    if damage.row_group is None
                    else f"{damage.shard}, row group {damage.row_group}"
                ),
                f": {damage.reason}",
            ]
        )
        for damage in info.damages
    ]
    return html.Section(
        [
            html.H2("What was found"),
            html.P(
                "Whether a finding matters is for you to say; only damage makes the command fail.",
                className="lead",
            ),
            html.Ul(damages, className="damages") if damages else None,
            html.Div(table, className="scroll", tabIndex=0),
        ],
        id="findings",
    )


def _finding_row(finding: Finding) -> Component:
    examples = [html.Li(" = ".join(map(_place, example))) for example in finding.examples]
    folded = (
        html.Details([html.Summary(_place_short(finding.examples[0])), html.Ul(examples)])
        if examples
        else None
    )
    return html.Tr(
        [
            html.Th(sentence_case(finding.check), scope="row"),
            html.Td(html.Span(VERDICTS[finding.verdict], className=f"verdict {finding.verdict}")),
            html.Td(f"{finding.count:,}", className="number"),
            html.Td([sentence_case(finding.detail), folded]),
        ]
    )


def _place(clip: ClipRef) -> str:
    return f"{clip.path} ({clip.split}, from {clip.start_s:g} s)"


def _place_short(example: tuple[ClipRef, ...]) -> str:
    return f"for example {example[0].path}" + (
        f" and {example[1].path}" if len(example) > 1 else ""
    )


def _distributions(info: AuditResult) -> Component:
    figures = [
        graph(f"histogram-{histogram.measure.replace(' ', '-')}", draw_histogram(histogram))
        for histogram in info.histograms
    ]
    lead = (
        "Clips by each measure, padding not counted. Levels are in dB of full scale; "
        "bandwidth is the highest frequency within 50 dB of the strongest."
    )
    return html.Section(
        [
            html.H2("How the clips are distributed"),
            html.P(lead, className="lead"),
            html.Div(figures, className="thirds"),
        ],
        id="distributions",
    )


def _labels(info: AuditResult) -> Component | None:
    if not info.labels:
        return None
    key = [
        html.Li([html.Span(className="swatch", style={"background": colour}), split])
        for split, colour in SPLIT_COLOURS.items()
        if split in info.rows
    ]
    hidden = len(info.labels) - LABELS_SHOWN
    command = html.Code("cpc data audit --json")
    more = (
        html.P(
            [f"{hidden:,} rarer labels are not shown; ", command, " lists all."],
            className="caption",
        )
        if hidden > 0
        else None
    )
    return html.Section(
        [
            html.H2("Labels"),
            html.P("Clips that carry each label.", className="lead"),
            html.Ul(key, className="key"),
            graph("labels-figure", draw_labels(info.labels)),
            more,
        ],
        id="labels",
    )


def _samples(samples: Sequence[ClipSample]) -> Component | None:
    if not samples:
        return None
    lead = (
        "Clips of as many labels as possible. Frequency rises like the ear hears it, up to 8 kHz; "
        "each clip's darkest moment is its loudest."
    )
    return html.Section(
        [
            html.H2("Look and listen"),
            html.P(lead, className="lead"),
            html.Div([_sample(sample) for sample in samples], className="thirds samples"),
        ],
        id="samples",
    )


def _sample(sample: ClipSample) -> Component:
    ref = sample.ref
    picture = html.Img(
        src=_data("image/png", png(sample.spectrogram)), alt=f"Spectrogram of {ref.path}"
    )
    player = html.Audio(src=_data("audio/flac", sample.flac), controls=True, preload="metadata")
    caption = html.Figcaption(
        [ref.label or "no label", html.Span(f" {ref.split}, {sample.seconds:.2g} s")]
    )
    return html.Figure([caption, picture, player, html.P(ref.path, className="path")])


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
