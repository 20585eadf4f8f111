"""Files of recordings: their names as text, and what can be opened."""

from __future__ import annotations

import os
from pathlib import Path

from cpc_core.errors import AudioError


def require_file(path: Path) -> None:
    """Checks that a path is a regular file: opening a named pipe would block for ever.

    Raises:
        AudioError: It is missing, or is something else.
    """
    if not path.is_file():
        problem = "is not a regular file" if path.exists() else "there is no such file"
        raise AudioError(f"{printable(path)}: {problem}")


def printable(path: Path) -> str:
    """The path as valid UTF-8: other bytes are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
