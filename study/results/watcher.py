"""A watcher of a study folder, which reads it again only after a change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock

from cpc_core.storage_path import StoragePath
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import LOG
from study.results.records import StudyRecord
from study.storage.backends import storage_errors, storage_of


def revision(folder: StudyFolder) -> str:
    """Revision of a study: a hash that changes whenever a trial changes.

    It covers size and time of the journal and of every metrics log, and the database's revision.

    Raises:
        UnreachableError: The study's database or object store does not answer.
    """
    digest = hashlib.sha256()
    with storage_errors(folder):
        storage = storage_of(folder) if folder.holds_study() else None
    with storage_errors(folder, storage):
        if storage is not None:
            digest.update(storage.revision().encode())
        for name, stamp in _stamps(folder.path):
            digest.update(f"{name}\0{stamp}\n".encode())
    return digest.hexdigest()[:16]


def _stamps(place: StoragePath) -> Iterator[tuple[str, str]]:
    """Time and size of the journal and the metrics logs, by name."""
    if not place.is_local:
        for name, info in sorted(place.walk_files().items()):
            if name.endswith(f"/{LOG}"):
                yield name, f"{info.mtime_ns} {info.size}"
        return
    folder = Path(place)
    for path in sorted(folder.glob(f"trials/*/{LOG}")):
        with suppress(FileNotFoundError):
            stat = path.stat()
            yield str(path.relative_to(folder)), f"{stat.st_mtime_ns} {stat.st_size}"


class LiveStudy:
    """The latest record of a study, shared by all threads.

    Args:
        folder: The study folder, which is never written.
        read: Reader of the folder.
    """

    def __init__(self, folder: StudyFolder, read: Callable[[StudyFolder], StudyRecord]) -> None:
        self._folder, self._read, self._lock = folder, read, Lock()
        self._latest: tuple[str, StudyRecord] | None = None

    def latest(self) -> tuple[str, StudyRecord]:
        """Latest revision and record.

        Raises:
            CpcError: The folder holds no study, or a damaged one.
        """
        with self._lock:
            # Before reading: a change during the reading gives another revision next time.
            now = revision(self._folder)
            if self._latest is None or self._latest[0] != now:
                self._latest = now, self._read(self._folder)
            return self._latest
