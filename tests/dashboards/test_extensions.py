"""A new figure: one file in `dashboards/figures` and one name in its table."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SEEDS = '''
"""Trials per seed."""

from __future__ import annotations

from collections import Counter

import plotly.graph_objects as go
from dash.development.base_component import Component

from dashboards.drawing.sections import graph, lead
from dashboards.drawing.theme import TEMPLATE
from study.analysis.cells import NotShown
from study.results.records import StudyRecord


class SeedsFigure:
    """Trials per seed."""

    name = "seeds"
    title = "Trials per seed"

    def info(self, record: StudyRecord) -> Counter[int] | NotShown:
        counts = Counter(trial.seed for trial in record.trials)
        return counts or NotShown("No trial has a seed yet.", True)

    def draw(self, info: Counter[int]) -> go.Figure:
        figure = go.Figure(layout={"template": TEMPLATE, "height": 200})
        figure.add_bar(x=list(info), y=list(info.values()))
        return figure

    def section(self, info: Counter[int]) -> list[Component]:
        return [lead(f"{len(info)} seeds."), graph("seeds-figure", self.draw(info))]


FIGURE = SeedsFigure()
'''

USE = """
import sys
from pathlib import Path
from unittest import mock

import dashboards.export.pictures as pictures
from dashboards.export.report import write_report
from tests.helpers import records

folder = Path(sys.argv[1])
write_report(records.temperature_study(), folder / "report.html")
write_report(records.empty_study(), folder / "pending.html")
with mock.patch.object(pictures, "screenshot", lambda figure, out, width: out):
    print(*(path.name for path in pictures.save_figures(records.temperature_study(), folder)))
"""


def test_a_new_figure_is_one_file_and_one_name(tmp_path: Path) -> None:
    """The page, the report and the pictures show it, in its place in the table."""
    shutil.copytree(ROOT / "dashboards", tmp_path / "dashboards")
    figures = tmp_path / "dashboards" / "figures"
    (figures / "seeds.py").write_text(SEEDS, encoding="utf-8")
    table = (figures / "__init__.py").read_text(encoding="utf-8")
    added = table.replace('        "ranking",\n', '        "ranking",\n        "seeds",\n')
    assert added != table
    (figures / "__init__.py").write_text(added, encoding="utf-8")

    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", USE, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.findall(r'<section id="(\w+)">', report) == [
        "temperature",
        "ranking",
        "seeds",
        "history",
        "trials",
    ]
    assert '<h2>Trials per seed</h2><p class="lead">2 seeds.</p>' in report
    assert '<div id="seeds-figure" class="plot"' in report
    assert "No trial has a seed yet." in (tmp_path / "pending.html").read_text(encoding="utf-8")
    assert done.stdout.split() == ["temperature.png", "ranking.png", "seeds.png", "history.png"]
