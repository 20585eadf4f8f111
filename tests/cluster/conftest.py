from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.on_ray import Marked


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where processes of the tests import the bundled corpus to, once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def marked(cache: Path) -> Iterator[Marked]:
    """Processes of one test, none of which outlives it."""
    marked = Marked(cache)
    yield marked
    left = marked.processes()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
