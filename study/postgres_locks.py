"""Trials held by advisory locks of a PostgreSQL server, which drops them with the connection of a driver that has ended."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from optuna.storages import BaseStorage, JournalStorage

from cpc_core.errors import CpcError
from study.postgres import Connection, PostgresJournal, connect

GRACE_S = 5.0
"""How long a running trial must have had no driver before another one takes it: its worker processes end a moment after its driver."""

TURN_S = 120
"""How long another driver may hold up everybody while it proposes a trial."""

CHECK_S = 2.0
"""Seconds between two looks at whether the locks are still held."""


class PostgresLocks:
    """One lock for each trial that this driver trains, and a short one around asking.

    The journal is written over the connection that holds them, so that a driver that has lost its trials cannot write of them.

    Args:
        url: The database.
        turn: Names what is asked for; drivers of the same take turns.

    Raises:
        psycopg.Error: The server does not answer.
    """

    def __init__(self, url: str, turn: str) -> None:
        self._turn, self._connection = _key(turn), connect(url)
        self._connection.execute(f"SET lock_timeout = '{TURN_S}s'")
        self._seen_free: dict[str, float] = {}
        self._checked = time.monotonic()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits for other drivers to have had their turn.

        Raises:
            CpcError: One of them does not come to an end.
        """
        try:
            self._connection.execute("SELECT pg_advisory_lock(%s)", (self._turn,))
        except psycopg.errors.LockNotAvailable as error:
            raise CpcError(
                f"another driver of this study has kept its turn for {TURN_S} s: it may be suspended; end it, and resume"
            ) from error
        try:
            yield
        finally:
            if not self._connection.closed:
                self._connection.execute("SELECT pg_advisory_unlock(%s)", (self._turn,))

    def storage(self, name: str) -> BaseStorage:
        """The journal of that name, made if it is missing. To be called alone."""
        journal = PostgresJournal(self._connection, name)
        journal.create()
        return JournalStorage(journal)

    def take(self, trial: str) -> None:
        """Takes a trial that nobody else trains yet, and waits should its lock be held for a moment all the same."""
        self._connection.execute("SELECT pg_advisory_lock(%s)", (_key(trial),))

    def adopt(self, trial: str) -> bool:
        """Takes a trial whose lock has been free for a while."""
        if not self._try(trial):
            self._seen_free.pop(trial, None)
            return False
        if time.monotonic() - self._seen_free.setdefault(trial, time.monotonic()) < GRACE_S:
            self.let_go(trial)
            return False
        return True

    def let_go(self, trial: str) -> None:
        """Leaves the trial to others."""
        self._connection.execute("SELECT pg_advisory_unlock(%s)", (_key(trial),))

    def hold(self) -> None:
        """Asks the server from time to time whether this connection, and with it every lock, is still there.

        Raises:
            psycopg.Error: It is not; the driver must end, since other drivers may take its trials.
        """
        if time.monotonic() - self._checked >= CHECK_S:
            self._connection.execute("SELECT 1")
            self._checked = time.monotonic()

    def close(self) -> None:
        """Drops all locks with the connection."""
        self._connection.close()

    def _try(self, trial: str) -> bool:
        return self._connection.execute("SELECT pg_try_advisory_lock(%s)", (_key(trial),)).fetchone() == (True,)


def is_taken(connection: Connection, trial: str) -> bool:
    """Whether a driver has that trial now. Only looks: an observer that locked it, if for a moment, would be taken for its driver."""
    query = (
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND (classid::bigint << 32) | objid::bigint = %s)"
    )
    return connection.execute(query, (_key(trial),)).fetchone() == (True,)


def _key(name: str) -> int:
    """The 64-bit number by which the server knows a lock."""
    return int.from_bytes(hashlib.sha256(f"cpc-study {name}".encode()).digest()[:8], signed=True)
