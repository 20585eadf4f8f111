"""Storage backends that a spec can name: the table to extend."""

from __future__ import annotations

from urllib.parse import urlsplit

BACKENDS = {
    "postgresql": "study.storage.postgres:PostgresStorage",
}
"""Scheme of `store` → class, as an import path.

A backend's package may be missing, and a spec is checked without it.
"""


def check_store(url: str) -> str:
    """The URL of a storage backend, unchanged.

    Raises:
        ValueError: No backend has its scheme, it names no database, or it holds a password.
    """
    parts = urlsplit(url)
    if parts.password is not None or "password" in parts.query:
        raise ValueError(
            "a password must not stand in a spec, which is copied into every study: leave it out, "
            "and set PGPASSWORD or list it in ~/.pgpass"
        )
    if parts.scheme not in BACKENDS or not parts.path.strip("/"):
        raise ValueError(
            f"'{url}' is no store: name a database as postgresql://user@host:5432/database, "
            "or leave it out"
        )
    return url
