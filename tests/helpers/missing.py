"""Programs that a test needs and this machine lacks."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def is_missing(program: str, packages: str) -> NoReturn:
    """Skips the calling test; with `CI` in the environment it fails, because CI installs all."""
    message = f"this test needs {program}: apt-get install {packages}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
