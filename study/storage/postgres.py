"""Trials of a study in a PostgreSQL database, for drivers on many machines at the same time.

A table keeps the same entries as a study's `journal.log`, a row each. Optuna's own tables would be
read again for every trial that has not ended, which takes seconds a trial in a study of a thousand.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cached_property
from typing import Any, ClassVar

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState

from cpc_core.errors import ConfigError, CpcError
from study.errors import NotFoundError, UnreachableError
from study.folders.study_folder import StudyFolder
from study.spec.study_spec import StudySpec
from study.storage.base import content

try:
    import psycopg
    from psycopg import sql
except ImportError as error:
    raise ConfigError(
        f"a study in PostgreSQL needs the package psycopg ({error}): "
        "pip install 'cpc-study[postgres]'"
    ) from error

CONNECT_TIMEOUT_S = 10
"""Seconds that a server has to answer."""

GRACE_S = 5.0
"""Seconds without a driver after which another one acquires a running trial.

Its worker processes end a moment after its driver.
"""

TURN_S = 120
"""Seconds that a driver has to propose a trial, while the others wait."""

CHECK_S = 2.0
"""Seconds between two checks of the locks."""

TABLE = """CREATE TABLE IF NOT EXISTS cpc_journal (
    study text, number bigint, entry text NOT NULL, PRIMARY KEY (study, number)
)"""

Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresStorage:
    """Rows of a table, a lock of the server for each trial in training, and one around proposals.

    The journal is written over the connection that has the locks, so that a driver that lost its
    trials cannot write about them.

    Args:
        folder: The study folder.
        spec: The study's, whose `store` is `postgresql://user@host:5432/database`. The password
            comes from `PGPASSWORD` or `~/.pgpass`, where PostgreSQL's own tools find it.
    """

    shared: ClassVar[bool] = True

    def __init__(self, folder: StudyFolder, spec: StudySpec) -> None:
        self._folder, self._spec, self._url = folder, spec, spec.store or ""
        self._turn = _key(f"turn of {spec.hash}")
        self._free_since: dict[int, float] = {}
        self._checked_s = time.monotonic()

    @cached_property
    def name(self) -> str:
        # A database keeps many studies, also several of the same name and spec.
        study_id = self._folder.provenance()["study_id"]
        return f"{self._spec.name}-{self._spec.hash}-{study_id}"

    @cached_property
    def _connection(self) -> Connection:
        """The driver's own, which has its locks."""
        connection = connect(self._url)
        connection.execute(f"SET lock_timeout = '{TURN_S}s'")
        return connection

    def read(self) -> tuple[list[FrozenTrial], Mapping[str, Any]]:
        with closing(connect(self._url)) as connection:
            journal = PostgresJournal(connection, self.name)
            return content(JournalStorage(journal), self.name) if journal.length else ([], {})

    def revision(self) -> str:
        with closing(connect(self._url)) as connection:
            return str(PostgresJournal(connection, self.name).length)

    def driver(self) -> str | None:
        running = [trial.number for trial in self.read()[0] if trial.state == TrialState.RUNNING]
        with closing(connect(self._url)) as connection:
            for number in running:
                if is_locked(connection, self._trial(number)):
                    return f"the driver of trial {number}"
        return None

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Waits for the turns of other drivers.

        Raises:
            CpcError: One of them does not end its turn.
        """
        try:
            self._connection.execute("SELECT pg_advisory_lock(%s)", (self._turn,))
        except psycopg.errors.LockNotAvailable as error:
            raise CpcError(
                f"another driver of this study has kept its turn for {TURN_S} s: it may be "
                "suspended; end it, and resume"
            ) from error
        try:
            yield
        finally:
            if not self._connection.closed:
                self._connection.execute("SELECT pg_advisory_unlock(%s)", (self._turn,))

    def open(self) -> BaseStorage:
        journal = PostgresJournal(self._connection, self.name)
        journal.create()
        return JournalStorage(journal)

    def acquire(self, number: int) -> None:
        # Waits, should another driver be trying the lock at this moment.
        self._connection.execute("SELECT pg_advisory_lock(%s)", (_key(self._trial(number)),))

    def try_acquire(self, number: int) -> bool:
        """Locks a trial that had no driver for `GRACE_S`."""
        locked = self._connection.execute(
            "SELECT pg_try_advisory_lock(%s)", (_key(self._trial(number)),)
        ).fetchone() == (True,)
        if not locked:
            self._free_since.pop(number, None)
            return False
        if time.monotonic() - self._free_since.setdefault(number, time.monotonic()) < GRACE_S:
            self.release(number)
            return False
        return True

    def release(self, number: int) -> None:
        self._connection.execute("SELECT pg_advisory_unlock(%s)", (_key(self._trial(number)),))

    def check(self) -> None:
        """Verifies at times that the connection, and with it every lock, is still there.

        Raises:
            psycopg.Error: It is not; the driver must end, since other drivers may take its trials.
        """
        if time.monotonic() - self._checked_s >= CHECK_S:
            self._connection.execute("SELECT 1")
            self._checked_s = time.monotonic()

    def explain(self, error: BaseException) -> CpcError | None:
        return explain(self._url, error) if isinstance(error, psycopg.Error) else None

    def close(self) -> None:
        if "_connection" in self.__dict__:
            self._connection.close()

    def _trial(self, number: int) -> str:
        return f"{self.name} trial {number}"


class PostgresJournal(BaseJournalBackend):
    """The journal of one study in the table.

    Args:
        connection: To the database.
        study: The study's name there.
    """

    def __init__(self, connection: Connection, study: str) -> None:
        self._connection, self._study = connection, study

    @property
    def length(self) -> int:
        """Number of entries; 0 without the table."""
        if self._connection.execute("SELECT to_regclass('cpc_journal')").fetchone() == (None,):
            return 0
        ((length,),) = self._connection.execute(
            "SELECT coalesce(max(number) + 1, 0) FROM cpc_journal WHERE study = %s", (self._study,)
        ).fetchall()
        return int(length)

    def create(self) -> None:
        """Creates the table if it is missing."""
        with self._connection.transaction():
            # Of two that create a table at the same time PostgreSQL lets one fail, also with
            # IF NOT EXISTS.
            self._connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('cpc_journal', 0))"
            )
            self._connection.execute(TABLE)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Entries from a number on."""
        query = "SELECT entry FROM cpc_journal WHERE study = %s AND number >= %s ORDER BY number"
        return (
            json.loads(entry)
            for (entry,) in self._connection.execute(
                query, (self._study, log_number_from)
            ).fetchall()
        )

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends all entries or none; the second of two drivers at a number tries the next."""
        query = (
            "INSERT INTO cpc_journal SELECT %(study)s, "
            "(SELECT coalesce(max(number) + 1, 0) FROM cpc_journal WHERE study = %(study)s) "
            "+ place - 1, entry "
            "FROM unnest(%(entries)s::text[]) WITH ORDINALITY AS added (entry, place)"
        )
        values = {"study": self._study, "entries": [json.dumps(entry) for entry in logs]}
        while True:
            try:
                self._connection.execute(query, values)
                return
            except psycopg.errors.UniqueViolation:
                continue


def connect(url: str) -> Connection:
    """Connects without transactions; each end closes soon after the other has died.

    Raises:
        psycopg.Error: The server does not answer, or refuses the user.
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
    """The error in one sentence, with the way out."""
    message = (
        str(error).partition("\n")[0].removeprefix("connection failed: ").strip()
        or type(error).__name__
    )
    if (
        "authentication failed" in message
        or "no password supplied" in message
        or 'role "' in message
    ):
        return ConfigError(
            f"{url} refuses the user ({message}): set PGUSER and PGPASSWORD, or list the password "
            "in ~/.pgpass"
        )
    if 'database "' in message and "does not exist" in message:
        return NotFoundError(
            f"{url} is not there ({message}): make it with `createdb`, or correct the spec's store"
        )
    if isinstance(error, psycopg.OperationalError):
        return UnreachableError(
            f"{url} does not answer ({message}): nothing of the study is lost; start the server or "
            "correct the spec's store, and resume"
        )
    return CpcError(f"{url} refuses the study's request ({message})")


def is_locked(connection: Connection, name: str) -> bool:
    """True if a driver has that lock. Trying the lock would make an observer its driver."""
    query = (
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' "
        "AND granted AND objsubid = 1 "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND (classid::bigint << 32) | objid::bigint = %s)"
    )
    return connection.execute(query, (_key(name),)).fetchone() == (True,)


def _key(name: str) -> int:
    """The 64-bit number of a lock on the server."""
    return int.from_bytes(hashlib.sha256(f"cpc-study {name}".encode()).digest()[:8], signed=True)
