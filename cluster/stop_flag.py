"""Request to the processes of one attempt at a trial to end between two of its reports."""

from __future__ import annotations

import time
from contextlib import suppress

from cpc_core.storage_path import StoragePath

POLL_S, STORED_POLL_S = 0.2, 2.0
"""Seconds between two looks at a file: on a disk, and in an object store, where each is a
request.
"""


class StopFlag:
    """File in a run's scratch folder that ends one attempt at a trial.

    A file reaches all processes of a trial on every node, whatever Ray is doing there. It stays,
    and must not end the attempt after: each has a file of its own.

    Args:
        scratch: Folder of the run, seen by every node.
        number: The trial.
        attempt: Number of attempts at it that crashed in this run.

    Attributes:
        poll_s: Seconds between two looks at the file.
    """

    def __init__(self, scratch: str, number: int, attempt: int) -> None:
        self._file = StoragePath.of(scratch) / f"stop-{number}-{attempt}"
        self.poll_s = POLL_S if self._file.is_local else STORED_POLL_S
        self._is_set, self._checked_s = False, -self.poll_s

    def set(self) -> None:
        """Requests the end of the attempt."""
        self._file.write_bytes(b"")

    def is_set(self) -> bool:
        """True if the end was requested, up to `poll_s` ago."""
        if not self._is_set and time.monotonic() - self._checked_s >= self.poll_s:
            self._checked_s = time.monotonic()
            # A store that does not answer for a moment requests nothing.
            with suppress(OSError):
                self._is_set = self._file.exists()
        return self._is_set
