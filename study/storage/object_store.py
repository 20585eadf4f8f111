"""One driver a study where files cannot be locked: every driver keeps an object of its own fresh,
and gives way to another fresh one.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend

from cpc_core.errors import CpcError
from cpc_core.storage_path import StoragePath
from study.errors import UnreachableError
from study.storage.base import SingleDriver

LEASE_S = 30.0
"""A driver whose object has not changed for so long is taken to have ended."""


RENEW_S = 6.0
"""Seconds between two changes of a driver's object."""


class Lease(SingleDriver):
    """The whole study for one driver, as long as it renews an object below `drivers/`.

    Of two drivers that start at the same time at least one sees the other's object, since a store
    lists what was written before; both may, and then both give way. Nobody's clock is compared with
    another's: a driver that has ended is known by an object that does not change, after `LEASE_S`,
    or at once where it was a process of this machine. A driver that was suspended for longer than
    that finds its lease lost, and ends without writing to the journal.

    Args:
        study: The study folder.

    Raises:
        CpcError: Another driver runs the study.
    """

    def __init__(self, study: StoragePath) -> None:
        self._study, self._drivers = study, study / "drivers"
        self._own = self._drivers / f"{uuid.uuid4().hex[:12]}.json"
        self._renewals = 0
        self._lost, self._closed = False, Event()
        self._write(_now_s())
        self._thread = Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()
        try:
            self._outlast_others()
        except BaseException:
            self.close()
            raise

    def storage(self, name: str) -> BaseStorage:
        """The journal in the folder."""
        return JournalStorage(ObjectJournal(self._study, before_writing=self.hold))

    def hold(self) -> None:
        """Raises where the lease was lost.

        Raises:
            UnreachableError: It could not be renewed in time.
        """
        if self._lost or _now_s() - self._renewed_s > LEASE_S:
            raise UnreachableError(
                f"{self._study} could not be reached for {LEASE_S:g} s, or this process was suspended: another driver may be running "
                "the study now; nothing of it is lost, `cpc study resume` goes on once there is none"
            )

    def close(self) -> None:
        """Lets another driver in."""
        self._closed.set()
        self._thread.join()
        self._own.remove()

    def _keep(self) -> None:
        while not self._closed.wait(RENEW_S):
            # A store that does not answer is asked again; whoever holds the lease looks at how long
            # ago it last did.
            with suppress(OSError):
                began = _now_s()
                # An object of ours may be there that was written too late: by a process suspended
                # since it had looked.
                if began - self._renewed_s > LEASE_S or not self._own.is_file():
                    self._lost = True
                    return
                self._write(began)

    def _write(self, began: float) -> None:
        """Renews the lease as of the time at which it was known to be held."""
        self._renewals += 1
        self._own.write_bytes(json.dumps({**_this_process(), "renewals": self._renewals}).encode())
        self._renewed_s = began

    def _outlast_others(self) -> None:
        # Not _now_s: time in which this machine was suspended shows nothing of the others.
        unchanged: dict[str, tuple[bytes, float]] = {}
        while others := self._others():
            for name, content in others.items():
                before, since = unchanged.setdefault(name, (content, time.monotonic()))
                if content != before:
                    holder = json.loads(content)
                    raise CpcError(
                        f"{self._study} is being run by process {holder['process']} on {holder['machine']}: wait for it, or stop it and "
                        "resume; for drivers at the same time the spec's store must be a PostgreSQL database"
                    )
                if time.monotonic() - since > LEASE_S or has_ended(json.loads(content)):
                    (self._drivers / name).remove()
            time.sleep(min(1.0, RENEW_S / 2))

    def _others(self) -> dict[str, bytes]:
        found = {}
        for name in self._drivers.file_sizes().keys() - {self._own.name}:
            with suppress(FileNotFoundError):
                found[name] = (self._drivers / name).read_bytes()
        return found


def _now_s() -> float:
    """Seconds since this machine was started, those included in which it was suspended: others saw
    them pass.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _this_process() -> dict[str, object]:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return {
        "process": os.getpid(),
        "machine": socket.gethostname(),
        "numbered_in": f"{boot} {Path('/proc/self/ns/pid').readlink()}",
    }


def has_ended(holder: dict[str, object]) -> bool:
    """Whether it was a process of this machine that is no more. Of other machines nothing is
    known.
    """
    return (
        holder["numbered_in"] == _this_process()["numbered_in"]
        and not Path(f"/proc/{holder['process']}").exists()
    )


def _of_lease(study: StoragePath) -> str | None:
    drivers = study / "drivers"
    for name, info in drivers.walk_files().items():
        with suppress(FileNotFoundError):
            holder = json.loads((drivers / name).read_bytes())
            if not has_ended(holder) and time.time() - info.mtime_ns / 1e9 < LEASE_S:
                return f"process {holder['process']} on {holder['machine']}"
    return None


FOLDER = "journal"


ENTRIES = 500
"""Of a whole object: enough that a study of a thousand trials has few, and little enough to be
written with every entry.
"""


class ObjectJournal(BaseJournalBackend):
    """The journal of a study folder in an object store. One process writes, any number read.

    Args:
        study: The study folder.
        before_writing: Raises where this process may not write.
    """

    def __init__(
        self, study: StoragePath, before_writing: Callable[[], None] | None = None
    ) -> None:
        self._folder, self._before_writing = study / FOLDER, before_writing
        self._begin, self._tail = 0, list[bytes]()
        if before_writing is not None and (begins := self._begins()):
            self._begin = begins[-1]
            self._tail = self._lines(self._begin)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The entries from a number on. The one writer knows the latest without asking."""
        if self._before_writing is not None and log_number_from >= self._begin:
            yield from map(json.loads, self._tail[log_number_from - self._begin :])
            return
        begins = self._begins()
        first = max(
            (index for index, begin in enumerate(begins) if begin <= log_number_from), default=0
        )
        for begin in begins[first:]:
            yield from map(json.loads, self._lines(begin)[max(0, log_number_from - begin) :])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Adds entries after the last one."""
        if self._before_writing is not None:
            self._before_writing()
        if len(self._tail) >= ENTRIES:
            self._begin, self._tail = self._begin + len(self._tail), []
        tail = [*self._tail, *(json.dumps(entry).encode() for entry in logs)]
        self._place(self._begin).write_bytes(b"".join(line + b"\n" for line in tail))
        self._tail = tail

    def _begins(self) -> list[int]:
        return sorted(int(name.partition(".")[0]) for name in self._folder.file_sizes())

    def _lines(self, begin: int) -> list[bytes]:
        return self._place(begin).read_bytes().splitlines()

    def _place(self, begin: int) -> StoragePath:
        return self._folder / f"{begin:012d}.jsonl"
