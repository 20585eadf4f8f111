"""The page of a study in parts, each made when it is asked for and kept until the study changes."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from dash.development.base_component import Component

from dashboards.in_place import Changes, Tree, changes, tree_of
from dashboards.study_page import PARTS
from study.results.records import StudyRecord
from study.results.watcher import LiveStudy

TREES_KEPT = 64
"""Parts that browsers may show; one that shows an older part than these gets a whole new one."""


@dataclass(frozen=True)
class Update:
    """The difference between a part as a browser shows it and as it is now.

    Attributes:
        hash: Hash of the part; the browser's own where it shows it already.
        tree: The part, where the browser shows none that could be changed.
        changes: Properties to set otherwise.
    """

    hash: str
    tree: Tree = None
    changes: Changes | None = None


class LivePage:
    """The parts of a study's page, shared by all browsers.

    Args:
        live: The study.
    """

    def __init__(self, live: LiveStudy) -> None:
        self._live, self._lock = live, Lock()
        self._current = live.latest()
        self._parts: dict[str, str] = {}
        self._trees: OrderedDict[str, Tree] = OrderedDict()

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
                parts = {name: self._keep(name, PARTS[name](latest[1])) for name in self._parts}
                self._current, self._parts = latest, parts
            return self._current

    def update(self, name: str, shown: str) -> Update:
        """The difference between a part as a browser shows it and as it is now.

        Args:
            name: The part.
            shown: Hash of the part that the browser shows; empty for none.
        """
        # One at a time: two at once would take as long, and the first one is waited for.
        with self._lock:
            if name not in self._parts:
                self._parts[name] = self._keep(name, PARTS[name](self._current[1]))
            return self._update(shown, self._parts[name])

    def update_to(self, name: str, part: Component | None, shown: str) -> Update:
        """The same for a part of which a browser has its own view."""
        with self._lock:
            return self._update(shown, self._keep(name, part))

    def _keep(self, name: str, part: Component | None) -> str:
        tree = tree_of(name, part)
        key = hashlib.sha256(json.dumps([name, tree]).encode()).hexdigest()[:16]
        self._trees[key] = tree
        self._trees.move_to_end(key)
        if len(self._trees) > TREES_KEPT:
            self._trees.popitem(last=False)
        return key

    def _update(self, shown: str, key: str) -> Update:
        if shown == key:
            return Update(key, changes=[])
        tree = self._trees[key]
        found = changes(self._trees[shown], tree) if shown in self._trees else None
        return Update(key, tree) if found is None else Update(key, changes=found)
