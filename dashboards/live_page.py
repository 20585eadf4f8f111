"""The page of a study in parts, each made when it is asked for and kept until the study changes."""

from __future__ import annotations

import hashlib
from threading import Lock

from dash.development.base_component import Component
from plotly.io.json import to_json_plotly

from dashboards.study_page import PARTS
from study.results.records import StudyRecord
from study.results.watcher import LiveStudy

Shown = tuple[Component | None, str]
"""A part of the page, and a hash of it that tells whether a browser shows it already."""


class LivePage:
    """The parts of a study's page, shared by all browsers.

    Args:
        live: The study.
    """

    def __init__(self, live: LiveStudy) -> None:
        self._live, self._lock = live, Lock()
        self._current = live.latest()
        self._parts: dict[str, Shown] = {}

    @property
    def current(self) -> tuple[str, StudyRecord]:
        """Revision and record that the parts are of."""
        return self._current

    def follow(self) -> tuple[str, StudyRecord]:
        """Reads the study again, and makes the parts that are shown anew where it has changed.

        Browsers fetch them afterwards: their next poll waits for that.

        Raises:
            CpcError: The study cannot be read; the parts stay those of the last record.
        """
        latest = self._live.latest()
        with self._lock:
            if latest[0] != self._current[0]:
                parts = {name: _shown(name, latest[1]) for name in self._parts}
                self._current, self._parts = latest, parts
            return self._current

    def part(self, name: str) -> Shown:
        """A part of the page, None where the study has nothing for it."""
        # One at a time: two at once would take as long, and the first one is waited for.
        with self._lock:
            if name not in self._parts:
                self._parts[name] = _shown(name, self._current[1])
            return self._parts[name]


def _shown(name: str, record: StudyRecord) -> Shown:
    return with_hash(PARTS[name](record))


def with_hash(part: Component | None) -> Shown:
    """A component with its hash."""
    return part, hashlib.sha256(to_json_plotly(part).encode()).hexdigest()[:16]
