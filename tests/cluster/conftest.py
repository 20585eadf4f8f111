from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.processes import Marked


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
    marked.end()
    assert not left
