"""The browser of tests."""

from __future__ import annotations

import shutil

from tests.helpers.missing import is_missing


def installed_chromium() -> str:
    """Path of Chromium; the calling test is skipped, in CI it fails, where there is none."""
    return shutil.which("chromium") or is_missing("Chromium", "chromium chromium-driver")
