"""Optuna's journal in an object store, whose objects can be written anew but not extended.

journal/000000000000.jsonl    entries 0 to 499
journal/000000000500.jsonl    entries from 500 on, written anew with every entry until there are 500
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from cpc_core.corpus.location import Location

FOLDER = "journal"

ENTRIES = 500
"""Of a whole object: enough that a study of a thousand trials has few, and little enough to be written with every entry."""


class ObjectJournal(BaseJournalBackend):
    """The journal of a study folder in an object store. One process writes, any number read.

    Args:
        study: The study folder.
        before_writing: Raises where this process may not write.
    """

    def __init__(self, study: Location, before_writing: Callable[[], None] | None = None) -> None:
        self._folder, self._before_writing = study / FOLDER, before_writing
        self._begin, self._tail = 0, list[bytes]()
        if before_writing is not None and (begins := self._begins()):
            self._begin = begins[-1]
            self._tail = self._lines(self._begin)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The entries from a number on. The one writer knows the latest without asking."""
        if self._before_writing is not None and log_number_from >= self._begin:
            yield from map(json.loads, self._tail[log_number_from - self._begin :])
            return
        begins = self._begins()
        first = max((index for index, begin in enumerate(begins) if begin <= log_number_from), default=0)
        for begin in begins[first:]:
            yield from map(json.loads, self._lines(begin)[max(0, log_number_from - begin) :])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Adds entries after the last one."""
        if self._before_writing is not None:
            self._before_writing()
        if len(self._tail) >= ENTRIES:
            self._begin, self._tail = self._begin + len(self._tail), []
        tail = [*self._tail, *(json.dumps(entry).encode() for entry in logs)]
        self._place(self._begin).write_bytes(b"".join(line + b"\n" for line in tail))
        self._tail = tail

    def _begins(self) -> list[int]:
        return sorted(int(name.partition(".")[0]) for name in self._folder.file_sizes())

    def _lines(self, begin: int) -> list[bytes]:
        return self._place(begin).read_bytes().splitlines()

    def _place(self, begin: int) -> Location:
        return self._folder / f"{begin:012d}.jsonl"
