"""Trials of a study in the journal of its folder, for one driver behind a lock file."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import FrozenTrial

from cpc_core.errors import ConfigError, CpcError
from study.folders.growing_file import GrowingFile
from study.folders.json_file import damaged
from study.folders.study_folder import JOURNAL, StudyFolder
from study.spec.study_spec import StudySpec
from study.storage.base import SingleDriver, content, replaying

LOCK = "driver.lock"

ATTEMPTS, ATTEMPT_S = 4, 0.05

_REPORT, _PARAMETER = b'"intermediate_value":', b'"param_name":'
"""Keys that only the entries of a report and of a knob's value have."""


class JournalFile(SingleDriver):
    """The file `journal.log`, and an exclusive lock that the operating system drops with a process.

    Args:
        folder: The study folder, on this machine.
        spec: The study's.
    """

    def __init__(self, folder: StudyFolder, spec: StudySpec) -> None:
        super().__init__()
        self._folder, self.name = Path(folder.path), spec.name
        self._journal, self._lock_file = self._folder / JOURNAL, self._folder / LOCK
        self._file: IO[str] | None = None
        self._replayed: tuple[JournalReader, JournalStorage] | None = None

    def read(self) -> tuple[list[FrozenTrial], Mapping[str, Any]]:
        replayed, self._replayed = self._replayed, None
        if not self._journal.exists():
            return [], {}
        with _replaying(self._journal):
            if replayed is None or not replayed[0].continues():
                reader = JournalReader(self._journal)
                replayed = reader, JournalStorage(reader)
            found = content(replayed[1], self.name)
        # Only now: what was read of a damaged journal is not kept.
        self._replayed = replayed
        return found

    def revision(self) -> str:
        try:
            stat = self._journal.stat()
        except FileNotFoundError:
            return ""
        return f"{stat.st_mtime_ns} {stat.st_size}"

    def driver(self) -> str | None:
        try:
            file = self._lock_file.open(encoding="ascii")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(
                f"{self._lock_file} cannot be read ({error.strerror}): have its owner make it "
                "readable for you"
            ) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return f"process {file.read().strip()}"
        return None

    def lock(self) -> None:
        try:
            file = self._lock_file.open("a+", encoding="ascii")
        except OSError as error:
            raise ConfigError(
                f"the study folder {self._folder} cannot be written ({error.strerror}): choose "
                "another one with -o, or have its owner run it"
            ) from error
        if not _try_lock(file):
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise CpcError(
                f"{self._folder} is being run by process {holder}: wait for it, or stop it with "
                "`cpc study stop` and resume"
            )
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def open(self) -> BaseStorage:
        repair_journal(self._journal)
        with _replaying(self._journal):
            return JournalStorage(AtomicJournalFile(self._journal))

    def check(self) -> None:
        """Does nothing: a process keeps its lock on a file."""

    def explain(self, error: BaseException) -> CpcError | None:
        return None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


@contextmanager
def _replaying(journal: Path) -> Iterator[None]:
    try:
        with replaying(journal):
            yield
    except OSError as error:
        raise damaged(journal, f"{type(error).__name__}: {error}") from error


def _try_lock(file: IO[str]) -> bool:
    # `JournalFile.driver` locks the file for a moment, too.
    for _ in range(ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(ATTEMPT_S)
        else:
            return True
    return False


class JournalReader(BaseJournalBackend):
    """The journal without what readers find elsewhere, each entry once.

    Reports are in the metrics logs, and the knobs' values among a trial's attributes. Both together
    are most of the journal, and of the time that its replay takes.

    Args:
        journal: The file.
    """

    def __init__(self, journal: Path) -> None:
        self._file, self._number = GrowingFile(journal), 0

    def continues(self) -> bool:
        """True unless the journal was replaced or cut since it was read."""
        return self._file.continues()

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The entries that were not read yet.

        Raises:
            ValueError: Others are asked for, or a line is no JSON.
        """
        if log_number_from != self._number:
            raise ValueError(f"entry {log_number_from} was asked for after {self._number}")
        for line in self._file.new_lines():
            if _REPORT not in line and _PARAMETER not in line:
                self._number += 1
                yield json.loads(line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuses: this is a reader."""
        raise NotImplementedError


class AtomicJournalFile(JournalFileBackend):
    """The journal as its driver writes it: entries that a full disk cuts off are removed at once.

    The next line would be appended to half a one.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__(str(journal))
        self._journal = journal

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends all entries or none."""
        before = self._journal.stat().st_size
        try:
            super().append_logs(logs)
        except BaseException:
            os.truncate(self._journal, before)
            raise


def repair_journal(journal: Path) -> None:
    """Removes a stale lock and half a last line, which a driver that was killed may leave.

    Optuna would wait for the one and fail at the other.
    """
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    if journal.exists():
        lines = journal.read_bytes()
        whole = lines.rfind(b"\n") + 1
        if whole < len(lines):
            with journal.open("r+b") as file:
                file.truncate(whole)
