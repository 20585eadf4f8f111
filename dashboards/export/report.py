"""A study as one HTML file that needs no network."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from dash.development.base_component import Component
from plotly.offline import get_plotlyjs

from cpc_core.storage_path import StoragePath
from dashboards.drawing.theme import PLOTLY_CONFIG
from dashboards.export.html import to_html
from dashboards.study_page import page
from study.analysis.answer import answer_info
from study.results.records import StudyRecord

ASSETS = Path(__file__).parents[1] / "assets"

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="{description}">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}
</style>
</head>
<body>
<main>{body}</main>
<script>{plotly}</script>
<script>
const figures = {{{figures}}};
const config = {config};
{script}
</script>
</body>
</html>
"""


def report_html(record: StudyRecord) -> str:
    """The report as text, with style, plotly.js and every figure inside."""
    return self_contained(f"{record.name} – CPC study", answer_info(record).headline, page(record))


def self_contained(title: str, description: str, components: list[Component]) -> str:
    """A page of components as one HTML text that requests nothing."""
    body, figures = to_html(components)
    return _PAGE.format(
        title=escape(title),
        description=escape(description),
        style=(ASSETS / "style.css").read_text(encoding="utf-8"),
        body=body,
        plotly=get_plotlyjs(),
        figures=",\n".join(f"{json.dumps(name)}: {figure}" for name, figure in figures.items()),
        config=json.dumps(PLOTLY_CONFIG),
        script=(ASSETS / "report.js").read_text(encoding="utf-8"),
    )


def write_report(record: StudyRecord, out: Path) -> Path:
    """Writes the report of a study, finished or not.

    Args:
        record: The study.
        out: The HTML file to write; its folder is created.

    Returns:
        `out`.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    StoragePath.of(out).write_text(report_html(record))
    return out
