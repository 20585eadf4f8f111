from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.processes import Marked
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
