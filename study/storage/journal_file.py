"""Who may train what, and the case of one driver a study behind a lock file. `lease` and
`postgres_locks` are the others.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from cpc_core.errors import ConfigError, CpcError
from study.storage.base import SingleDriver

JOURNAL, LOCK = "journal.log", "driver.lock"


ATTEMPTS, ATTEMPT_S = 4, 0.05


class FolderLock(SingleDriver):
    """The whole study for one driver: an exclusive lock on its folder, which the operating system
    drops with the process.

    Raises:
        CpcError: Another process holds it.
        ConfigError: The folder cannot be written.
    """

    def __init__(self, study: Path) -> None:
        self._journal = study / JOURNAL
        try:
            self._file = (study / LOCK).open("a+", encoding="ascii")
        except OSError as error:
            raise ConfigError(
                f"the study folder {study} cannot be written ({error.strerror}): choose another one with -o, or have its owner run it"
            ) from error
        if not self._acquired():
            self._file.seek(0)
            holder = self._file.read().strip()
            self._file.close()
            raise CpcError(
                f"{study} is being run by process {holder}: wait for it, or stop it with `cpc study stop` and resume"
            )
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

    def storage(self, name: str) -> BaseStorage:
        """The journal in the folder."""
        repair_journal(self._journal)
        return JournalStorage(AtomicJournalFile(self._journal))

    def hold(self) -> None:
        """A lock of the operating system is never lost."""

    def close(self) -> None:
        """Lets another driver in."""
        self._file.close()


class AtomicJournalFile(JournalFileBackend):
    """The journal of the one driver that writes. What a full disk cuts off is removed at once: the
    next line would be glued to it.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__(str(journal))
        self._journal = journal

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Adds entries after the last one, all of them or none."""
        before = self._journal.stat().st_size
        try:
            super().append_logs(logs)
        except BaseException:
            os.truncate(self._journal, before)
            raise


def repair_journal(journal: Path) -> None:
    """Removes what a killed driver may leave: a stale lock, waited for otherwise, and half a last
    line, fatal otherwise.
    """
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    if journal.exists():
        content = journal.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with journal.open("r+b") as file:
                file.truncate(whole)


def _of_lock(study: Path) -> str | None:
    try:
        file = (study / LOCK).open(encoding="ascii")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            f"{study / LOCK} cannot be read ({error.strerror}): have its owner make it readable for you"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return f"process {file.read().strip()}"
    return None
