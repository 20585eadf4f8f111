from __future__ import annotations

import signal
from pathlib import Path

import pytest

# A shell that starts the tests in the background has them, and every process of theirs, ignore Ctrl-C; some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """A folder with no other test's folder beside it: studies that lie side by side share their trials."""
    own = tmp_path / "own"
    own.mkdir()
    return own
