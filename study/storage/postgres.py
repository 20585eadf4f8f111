"""Optuna's journal in a PostgreSQL database, where drivers on many machines write it at the same
time.

The same entries as in a study's `journal.log`, a row each. Optuna's own tables would be read again
for every trial that has not ended, which takes seconds a trial in a study of a thousand.

A store is a URL without a password: that comes from where PostgreSQL's own tools take it,
`PGPASSWORD` or `~/.pgpass`.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState
from psycopg import sql

from cpc_core.errors import ConfigError, CpcError
from study.errors import NotFoundError, UnreachableError
from study.folders.study_folder import StudyFolder
from study.spec.study_spec import StudySpec
from study.storage.backends import stored_trials
from study.storage.base import study_name, trial_lock

CONNECT_TIMEOUT_S = 10
"""How long a server may take to answer."""


TABLE = """CREATE TABLE IF NOT EXISTS cpc_journal (
    study text, number bigint, entry text NOT NULL, PRIMARY KEY (study, number)
)"""


Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresJournal(BaseJournalBackend):
    """The journal of one study.

    Args:
        connection: To the database.
        study: The study's name there.
    """

    def __init__(self, connection: Connection, study: str) -> None:
        self._connection, self._study = connection, study

    @property
    def length(self) -> int:
        """Entries so far; 0 where the table is missing, too."""
        if self._connection.execute("SELECT to_regclass('cpc_journal')").fetchone() == (None,):
            return 0
        row = self._connection.execute(
            "SELECT coalesce(max(number) + 1, 0) FROM cpc_journal WHERE study = %s", (self._study,)
        ).fetchone()
        assert row is not None
        return int(row[0])

    def create(self) -> None:
        """Makes the table if it is missing."""
        with self._connection.transaction():
            # PostgreSQL lets one of two fail that make a table at the same time, even if it is to
            # be made only where it is missing.
            self._connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('cpc_journal', 0))"
            )
            self._connection.execute(TABLE)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The entries from a number on."""
        query = "SELECT entry FROM cpc_journal WHERE study = %s AND number >= %s ORDER BY number"
        return (
            json.loads(entry)
            for (entry,) in self._connection.execute(
                query, (self._study, log_number_from)
            ).fetchall()
        )

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Adds entries after the last one, all of them or none. Whoever comes second to a number
        tries the next.
        """
        query = (
            "INSERT INTO cpc_journal SELECT %(study)s, (SELECT coalesce(max(number) + 1, 0) FROM cpc_journal WHERE study = %(study)s) "
            "+ place - 1, entry FROM unnest(%(entries)s::text[]) WITH ORDINALITY AS added (entry, place)"
        )
        values = {"study": self._study, "entries": [json.dumps(entry) for entry in logs]}
        while True:
            try:
                self._connection.execute(query, values)
                return
            except psycopg.errors.UniqueViolation:
                continue


def connect(url: str) -> Connection:
    """A connection that sees every change at once, and that both ends give up soon after the other
    has gone.

    Raises:
        psycopg.Error: The server does not answer, or refuses; `reaching` says it readably.
    """
    connection = psycopg.connect(
        url,
        autocommit=True,
        connect_timeout=CONNECT_TIMEOUT_S,
        keepalives_idle=10,
        keepalives_interval=3,
        keepalives_count=3,
        tcp_user_timeout=15_000,
    )
    # The server's end, which keeps a driver's locks; its defaults would keep those of a machine
    # that lost its power for two hours.
    for name, value in (
        ("tcp_keepalives_idle", 15),
        ("tcp_keepalives_interval", 5),
        ("tcp_keepalives_count", 3),
    ):
        connection.execute(sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
    return connection


def explain(url: str, error: psycopg.Error) -> CpcError:
    """What is wrong, with the way out."""
    said = (
        str(error).partition("\n")[0].removeprefix("connection failed: ").strip()
        or type(error).__name__
    )
    if "authentication failed" in said or "no password supplied" in said or 'role "' in said:
        return ConfigError(
            f"{url} refuses the user ({said}): set PGUSER and PGPASSWORD, or list the password in ~/.pgpass"
        )
    if 'database "' in said and "does not exist" in said:
        return NotFoundError(
            f"{url} is not there ({said}): make it with `createdb`, or correct the spec's store"
        )
    if isinstance(error, psycopg.OperationalError):
        return UnreachableError(
            f"{url} does not answer ({said}): nothing of the study is lost; start the server or correct the spec's store, and resume"
        )
    return CpcError(f"{url} refuses what the study asks for ({said})")


def _in_database(folder: StudyFolder, spec: StudySpec, store: str) -> str | None:
    from study.storage.postgres import connect, is_taken

    provenance = folder.provenance()
    running = [
        trial.number
        for trial in stored_trials(folder, spec, provenance)[0]
        if trial.state == TrialState.RUNNING
    ]
    name = study_name(spec, provenance)
    with closing(connect(store)) as connection:
        taken = next(
            (number for number in running if is_taken(connection, trial_lock(name, number))), None
        )
    return None if taken is None else f"the driver of trial {taken}"


GRACE_S = 5.0
"""How long a running trial must have had no driver before another one takes it: its worker
processes end a moment after its driver.
"""


TURN_S = 120
"""How long another driver may hold up everybody while it proposes a trial."""


CHECK_S = 2.0
"""Seconds between two looks at whether the locks are still held."""


class PostgresLocks:
    """One lock for each trial that this driver trains, and a short one around asking.

    The journal is written over the connection that holds them, so that a driver that has lost its
    trials cannot write of them.

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
        """Takes a trial that nobody else trains yet, and waits should its lock be held for a moment
        all the same.
        """
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
        """Asks the server from time to time whether this connection, and with it every lock, is
        still there.

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
        return self._connection.execute(
            "SELECT pg_try_advisory_lock(%s)", (_key(trial),)
        ).fetchone() == (True,)


def is_taken(connection: Connection, trial: str) -> bool:
    """Whether a driver has that trial now. Only looks: an observer that locked it, if for a moment,
    would be taken for its driver.
    """
    query = (
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND (classid::bigint << 32) | objid::bigint = %s)"
    )
    return connection.execute(query, (_key(trial),)).fetchone() == (True,)


def _key(name: str) -> int:
    """The 64-bit number by which the server knows a lock."""
    return int.from_bytes(hashlib.sha256(f"cpc-study {name}".encode()).digest()[:8], signed=True)
