"""One driver at a time works on a study."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from cpc_core.errors import CpcError

LOCK = "driver.lock"

ATTEMPTS, ATTEMPT_S = 4, 0.05


class DriverLock:
    """An exclusive lock on a study folder that the operating system drops with the process that holds it.

    Raises:
        CpcError: Another process holds it.
    """

    def __init__(self, study: Path) -> None:
        self._file = (study / LOCK).open("a+", encoding="ascii")
        if not self._acquired():
            self._file.seek(0)
            holder = self._file.read().strip()
            self._file.close()
            raise CpcError(f"{study} is being run by process {holder}: wait for it, or stop it with `cpc study stop` and resume")
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def _acquired(self) -> bool:
        # Whoever asks for the driver holds the lock for a moment, too.
        for _ in range(ATTEMPTS):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(ATTEMPT_S)
            else:
                return True
        return False

    def release(self) -> None:
        """Lets another driver in."""
        self._file.close()


def driver_of(study: Path) -> str | None:
    """The process that is running a study; None while nobody is."""
    try:
        file = (study / LOCK).open(encoding="ascii")
    except FileNotFoundError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read().strip()
    return None
