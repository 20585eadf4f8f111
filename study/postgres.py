"""Optuna's journal in a PostgreSQL database, where drivers on many machines write it at the same time.

The same entries as in a study's `journal.log`, a row each. Optuna's own tables would be read again for every trial that has not ended,
which takes seconds a trial in a study of a thousand.

A store is a URL without a password: that comes from where PostgreSQL's own tools take it, `PGPASSWORD` or `~/.pgpass`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
from optuna.storages.journal import BaseJournalBackend
from psycopg import sql

from cpc_core.errors import ConfigError, CpcError
from study.errors import NotFoundError, UnreachableError

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
        row = self._connection.execute("SELECT coalesce(max(number) + 1, 0) FROM cpc_journal WHERE study = %s", (self._study,)).fetchone()
        assert row is not None
        return int(row[0])

    def create(self) -> None:
        """Makes the table if it is missing."""
        with self._connection.transaction():
            # PostgreSQL lets one of two fail that make a table at the same time, even if it is to be made only where it is missing.
            self._connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('cpc_journal', 0))")
            self._connection.execute(TABLE)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The entries from a number on."""
        query = "SELECT entry FROM cpc_journal WHERE study = %s AND number >= %s ORDER BY number"
        return (json.loads(entry) for (entry,) in self._connection.execute(query, (self._study, log_number_from)).fetchall())

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Adds entries after the last one, all of them or none. Whoever comes second to a number tries the next."""
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
    """A connection that sees every change at once, and that both ends give up soon after the other has gone.

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
    # The server's end, which keeps a driver's locks; its defaults would keep those of a machine that lost its power for two hours.
    for name, value in (("tcp_keepalives_idle", 15), ("tcp_keepalives_interval", 5), ("tcp_keepalives_count", 3)):
        connection.execute(sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
    return connection


def readable(url: str, error: psycopg.Error) -> CpcError:
    """What is wrong, with the way out."""
    said = str(error).partition("\n")[0].removeprefix("connection failed: ").strip() or type(error).__name__
    if "authentication failed" in said or "no password supplied" in said or 'role "' in said:
        return ConfigError(f"{url} refuses the user ({said}): set PGUSER and PGPASSWORD, or list the password in ~/.pgpass")
    if 'database "' in said and "does not exist" in said:
        return NotFoundError(f"{url} is not there ({said}): make it with `createdb`, or correct the spec's store")
    if isinstance(error, psycopg.OperationalError):
        return UnreachableError(
            f"{url} does not answer ({said}): nothing of the study is lost; start the server or correct the spec's store, and resume"
        )
    return CpcError(f"{url} refuses what the study asks for ({said})")
