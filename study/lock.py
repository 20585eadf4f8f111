"""One driver at a time works on a study."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from cpc_core.errors import CpcError


class DriverLock:
    """An exclusive lock on a study folder that the operating system drops with the process that holds it.

    Raises:
        CpcError: Another process holds it.
    """

    def __init__(self, study: Path) -> None:
        self._file = (study / "driver.lock").open("a+", encoding="ascii")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip()
            self._file.close()
            raise CpcError(f"{study} is being run by process {holder}: wait for it, or stop it and resume") from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        """Lets another driver in."""
        self._file.close()
