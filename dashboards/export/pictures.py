"""A study's figures as PNG files, for slides and READMEs."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go

from dashboards.export.screenshot import screenshot
from dashboards.figures.epsilon import draw_epsilon, epsilon_info
from dashboards.figures.ranking import draw_ranking, ranking_info
from dashboards.figures.sampling import draw_sampling, sampling_info
from dashboards.figures.temperature import draw_temperature, temperature_info
from study.analysis import NotShown
from study.results.records import StudyRecord

WIDTH_PX = 880


def save_figures(record: StudyRecord, folder: Path) -> list[Path]:
    """Draws every figure that the study has something to show in, one PNG each.

    Raises:
        ScreenshotError: There is no Chromium, or it failed.
    """
    figures: dict[str, go.Figure] = {}
    if not isinstance(temperature := temperature_info(record), NotShown):
        figures["temperature"] = draw_temperature(temperature)
    if not isinstance(epsilon := epsilon_info(record), NotShown):
        figures["epsilon"] = draw_epsilon(epsilon)
    if not isinstance(sampling := sampling_info(record), NotShown):
        figures["sampling"] = draw_sampling(sampling)
    if not isinstance(ranking := ranking_info(record), NotShown):
        figures["ranking"] = draw_ranking(ranking)
    return [
        screenshot(figure, folder / f"{name}.png", WIDTH_PX) for name, figure in figures.items()
    ]
