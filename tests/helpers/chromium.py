"""Where tests find a real browser."""

from __future__ import annotations

import os
import shutil

import pytest


def installed_chromium() -> str:
    """Path of Chromium. Where there is none the calling test is skipped, saying so; in CI it fails,
    because CI installs it.
    """
    found = shutil.which("chromium")
    if found is None:
        missing = "this test needs Chromium: apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found
