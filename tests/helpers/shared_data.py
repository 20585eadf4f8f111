"""Test data outside the repository, which a user's clone does not have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("CPC_SHARED") or Path(__file__).parents[3] / "shared")
"""The folder that CPC_SHARED names, or `shared` next to the checkout."""


def shared_file(pattern: str) -> Path:
    """The first file of a pattern in that folder; skips the test where there is none."""
    found = sorted(SHARED.glob(pattern))
    if not found:
        pytest.skip(f"needs {pattern} in {SHARED}: set CPC_SHARED to the folder that has it")
    return found[0]
