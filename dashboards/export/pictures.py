"""A study's figures as PNG files, for slides and READMEs."""

from __future__ import annotations

from pathlib import Path

from dashboards.export.screenshot import screenshot
from dashboards.figures import FIGURES
from study.analysis.cells import NotShown
from study.results.records import StudyRecord

WIDTH_PX = 880


def save_figures(record: StudyRecord, folder: Path) -> list[Path]:
    """Draws every figure that the study has numbers for, one PNG each.

    Raises:
        ScreenshotError: There is no Chromium, or it failed.
    """
    return [
        screenshot(figure.draw(info), folder / f"{figure.name}.png", WIDTH_PX)
        for figure in FIGURES
        if not isinstance(info := figure.info(record), NotShown)
    ]
