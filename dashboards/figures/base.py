"""The protocol of a figure: its numbers, its drawing and its section of the study page."""

from __future__ import annotations

from typing import Protocol, TypeVar

import plotly.graph_objects as go
from dash.development.base_component import Component

from study.analysis.cells import NotShown
from study.results.records import StudyRecord

Info = TypeVar("Info")


class Figure(Protocol[Info]):
    """A figure of the study page.

    Attributes:
        name: Id of its section and name of its PNG file.
        title: Heading of its section.
    """

    name: str
    title: str

    def info(self, record: StudyRecord) -> Info | NotShown:
        """The numbers to show, or the reason why there are none."""

    def draw(self, info: Info) -> go.Figure:
        """The figure by itself, as its PNG file shows it."""

    def section(self, info: Info) -> list[Component]:
        """The section's content under its heading."""
