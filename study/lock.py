"""Who may train what, and the case of one driver a study behind a lock file. `lease` and `postgres_locks` are the others."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from cpc_core.errors import ConfigError, CpcError

JOURNAL, LOCK = "journal.log", "driver.lock"

ATTEMPTS, ATTEMPT_S = 4, 0.05


class Tenure(Protocol):
    """What a driver holds of a study. All of it falls free with the driver's process, however that ends."""

    def alone(self) -> AbstractContextManager[None]:
        """Keeps other drivers from opening the study and from asking for trials during the block."""

    def storage(self, name: str) -> BaseStorage:
        """Where the trials of the study of that name are remembered, to be written as long as it is held."""

    def take(self, trial: str) -> None:
        """Takes a trial that was asked for just now, alone."""

    def adopt(self, trial: str) -> bool:
        """Tries to take a trial that was begun; returns whether its driver has ended, so that it is this driver's now."""

    def let_go(self, trial: str) -> None:
        """Gives a trial back that has ended."""

    def hold(self) -> None:
        """Makes sure that what was taken is still held.

        Raises:
            UnreachableError: The object store cannot say so any more.
            psycopg.Error: The database cannot; `reaching` says it readably.
        """

    def close(self) -> None:
        """Gives everything back."""


class OneDriver:
    """What there is to hold where the whole study belongs to one driver: nothing more."""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """There is no other driver."""
        yield

    def take(self, trial: str) -> None:
        """All trials belong to the one driver."""

    def adopt(self, trial: str) -> bool:
        """No other driver is left."""
        return True

    def let_go(self, trial: str) -> None:
        """Nobody else waits for it."""


class FolderLock(OneDriver):
    """The whole study for one driver: an exclusive lock on its folder, which the operating system drops with the process.

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

    def storage(self, name: str) -> BaseStorage:
        """The journal in the folder."""
        _heal(self._journal)
        return JournalStorage(_WholeLines(self._journal))

    def hold(self) -> None:
        """A lock of the operating system is never lost."""

    def close(self) -> None:
        """Lets another driver in."""
        self._file.close()


class _WholeLines(JournalFileBackend):
    """The journal of the one driver that writes. What a full disk cuts off is removed at once: the next line would be glued to it."""

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


def _heal(journal: Path) -> None:
    """Removes what a killed driver may leave: a stale lock, waited for otherwise, and half a last line, fatal otherwise."""
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    if journal.exists():
        content = journal.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with journal.open("r+b") as file:
                file.truncate(whole)
