"""Files that are never seen half written, in a folder of this machine or in an object store."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cpc_core.corpus.location import Location

Place = Path | Location
"""Where a study or a file of it is: a path, or a URI."""


def write_atomically(place: Place, content: str | bytes) -> None:
    """Writes a file so that a reader sees the old content or the new, whole."""
    Location.of(place).write_bytes(content.encode() if isinstance(content, str) else content)


def append(place: Location, line: bytes) -> None:
    """Adds to the end of a file, on the disk or in the store before this returns. Objects cannot grow, so that one is written anew."""
    if place.is_local:
        with Path(place).open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        return
    before = b""
    with suppress(FileNotFoundError):
        before = place.read_bytes()
    place.write_bytes(before + line)
