from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """A folder with no other test's folder beside it: studies that lie side by side share their trials."""
    own = tmp_path / "own"
    own.mkdir()
    return own
