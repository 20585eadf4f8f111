"""A watcher of a study folder, which reads it again only after a change."""

from __future__ import annotations

from threading import Lock

from study.folders.study_folder import StudyFolder
from study.results.reader import StudyReader
from study.results.records import StudyRecord


class LiveStudy:
    """The latest record of a study, shared by all threads.

    Args:
        folder: The study folder, which is never written.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self._reader, self._lock = StudyReader(folder), Lock()
        self._latest: tuple[str, StudyRecord] | None = None

    def latest(self) -> tuple[str, StudyRecord]:
        """Latest revision and record.

        Raises:
            CpcError: The folder holds no study, or a damaged one.
        """
        with self._lock:
            # Before reading: a change during the reading gives another revision next time.
            now = self._reader.revision()
            if self._latest is None or self._latest[0] != now:
                self._latest = now, self._reader.read()
            return self._latest
