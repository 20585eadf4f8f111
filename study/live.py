"""A study folder as it changes: read again only when something was written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from study.lock import JOURNAL
from study.reading import SPEC, read_provenance, read_spec
from study.records import StudyRecord
from study.storage import database_revision


def revision(folder: Path) -> str:
    """Changes whenever a trial changes: a hash of size and time of the journal and of every metrics log, and of the database's own.

    Raises:
        CpcError: The study's database does not answer.
    """
    digest = hashlib.sha256()
    if (folder / SPEC).is_file():
        digest.update(database_revision(read_spec(folder), read_provenance(folder)).encode())
    for path in (folder / JOURNAL, *sorted(folder.glob("trials/*/metrics.jsonl"))):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        digest.update(f"{path.relative_to(folder)}\0{stat.st_mtime_ns}\0{stat.st_size}\n".encode())
    return digest.hexdigest()[:16]


class LiveStudy:
    """The latest record of a study, shared by everybody who looks.

    Args:
        folder: The study folder; never written.
        read: Reads it.
    """

    def __init__(self, folder: Path, read: Callable[[Path], StudyRecord]) -> None:
        self._folder, self._read, self._lock = folder, read, Lock()
        self._latest: tuple[str, StudyRecord] | None = None

    def latest(self) -> tuple[str, StudyRecord]:
        """Revision and record.

        Raises:
            CpcError: The folder holds no study, or a damaged one.
        """
        with self._lock:
            # Taken before reading: what is written meanwhile gives another revision next time.
            now = revision(self._folder)
            if self._latest is None or self._latest[0] != now:
                self._latest = now, self._read(self._folder)
            return self._latest
