from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.missing import is_missing
from tests.helpers.postgres import PASSWORD, Server, binaries, running
from tests.helpers.processes import Marked
from tests.helpers.ray_nodes import QUIET_S, RunningRay, await_that
from tests.helpers.s3 import S3Server, running_s3


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that processes of the tests import the bundled corpus to, once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def marked(cache: Path) -> Iterator[Marked]:
    """Processes of one test, none of which outlives it."""
    marked = Marked(cache)
    yield marked
    left = marked.processes()
    marked.end()
    assert not left


@pytest.fixture(scope="session")
def idle_ray(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRay]:
    """A cluster of two CPUs that lives as long as the tests."""
    ray = RunningRay(cache, tmp_path_factory.mktemp("ray") / "log")
    try:
        yield ray
    finally:
        ray.end()


@pytest.fixture
def running_ray(idle_ray: RunningRay) -> Iterator[RunningRay]:
    """That cluster, for a test that leaves nothing in use."""
    yield idle_ray
    await_that(lambda: not idle_ray.in_use(), QUIET_S, "everything is released")


@pytest.fixture(scope="session")
def fault_rounds(request: pytest.FixtureRequest) -> int:
    """Number that `--fault-rounds` gives."""
    rounds: int = request.config.getoption("--fault-rounds")
    return rounds


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A server of the S3 protocol that lives as long as the tests."""
    with running_s3() as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """URI of an empty bucket, which this process and its children find."""
    for name, value in s3.settings.items():
        monkeypatch.setenv(name, value)
    return s3.empty_bucket()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL server that lives as long as the tests."""
    if binaries() is None:
        is_missing("a PostgreSQL server", "postgresql")
    with running() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """That server, with its password where PostgreSQL's own tools look for it."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return postgres_server
