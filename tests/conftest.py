from __future__ import annotations

import logging
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from tests.helpers.postgres import PASSWORD, Server, binaries, running

# A shell that starts the tests in the background has them, and every process of theirs, ignore
# Ctrl-C; some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of a server of the S3 protocol on loopback that lives as long as the tests."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_settings(s3_server: str) -> dict[str, str]:
    """The environment in which that server is found."""
    settings = {
        "ENDPOINT_URL": s3_server,
        "ACCESS_KEY_ID": "test",
        "SECRET_ACCESS_KEY": "test",
        "DEFAULT_REGION": "us-east-1",
    }
    return {
        "AWS_EC2_METADATA_DISABLED": "true",
        **{f"AWS_{name}": value for name, value in settings.items()},
    }


@pytest.fixture
def bucket(s3_server: str, s3_settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """URI of an empty bucket."""
    for name, value in s3_settings.items():
        monkeypatch.setenv(name, value)
    for path, method in (("moto-api/reset", "POST"), ("bucket", "PUT")):
        urllib.request.urlopen(urllib.request.Request(f"{s3_server}/{path}", method=method)).close()
    return "s3://bucket"


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """A folder with no other test's folder beside it: studies that lie side by side share their
    trials.
    """
    own = tmp_path / "own"
    own.mkdir()
    return own
