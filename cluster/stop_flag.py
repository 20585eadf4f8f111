"""Requests to the processes of a run's trials to end between two of their reports."""

from __future__ import annotations

import time
from contextlib import suppress

from cpc_core.storage_path import StoragePath

POLL_S, STORED_POLL_S = 0.2, 2.0
"""Seconds between two looks at a file: on a disk, and in an object store, where each is a
request.
"""


class Flag:
    """File in a run's scratch folder, which is set once and stays.

    A file reaches all processes of a trial on every node, whatever Ray is doing there.

    Args:
        scratch: Folder of the run, seen by every node.
        name: Of the file.

    Attributes:
        poll_s: Seconds between two looks at the file.
    """

    def __init__(self, scratch: str, name: str) -> None:
        self._file = StoragePath.of(scratch) / name
        self.poll_s = POLL_S if self._file.is_local else STORED_POLL_S
        self._is_set, self._checked_s = False, -self.poll_s

    def set(self) -> None:
        """Makes the request."""
        self._file.write_bytes(b"")

    def is_set(self) -> bool:
        """True if the request was made, up to `poll_s` ago."""
        if not self._is_set and time.monotonic() - self._checked_s >= self.poll_s:
            self._checked_s = time.monotonic()
            # A store that does not answer for a moment requests nothing.
            with suppress(OSError):
                self._is_set = self._file.exists()
        return self._is_set


class StopFlag(Flag):
    """Request to one attempt at a trial to end now.

    It must not end the attempt after: each has a file of its own.

    Args:
        scratch: Folder of the run.
        number: The trial.
        attempt: Number of attempts at it that crashed in this run.
    """

    def __init__(self, scratch: str, number: int, attempt: int) -> None:
        super().__init__(scratch, f"stop-{number}-{attempt}")


class StudyStopFlag(Flag):
    """Request to all trials of a run to end at their next reports, or before (`cluster.grace`).

    Args:
        scratch: Folder of the run.
    """

    def __init__(self, scratch: str) -> None:
        super().__init__(scratch, "stop")
