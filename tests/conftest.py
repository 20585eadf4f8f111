from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres import PASSWORD, Server, binaries, running


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL server that lives as long as the tests."""
    if binaries() is None:
        pytest.skip("no PostgreSQL server in /usr/lib/postgresql: apt-get install postgresql")
    with running() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """That server, with its password where PostgreSQL's own tools look for it."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return postgres_server
