"""The browser of tests."""

from __future__ import annotations

import os
import shutil

import pytest


def installed_chromium() -> str:
    """Path of Chromium; without one the calling test is skipped, or in CI fails: CI installs it."""
    found = shutil.which("chromium")
    if found is None:
        missing = "this test needs Chromium: apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found
