"""A file that grows by lines and is read while another process writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

TAIL_BYTES = 4096
"""Bytes read at first to find a file's last line."""


class GrowingFile:
    """A file of this machine whose lines are read once each, as they are written.

    Args:
        path: The file, which need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._offset, self._last = path, 0, b""

    def continues(self) -> bool:
        """True unless the file was replaced or cut: the last line read is still at its place."""
        with self._path.open("rb") as file:
            file.seek(self._offset - len(self._last))
            return file.read(len(self._last)) == self._last

    def new_lines(self) -> Iterator[bytes]:
        """The whole lines that were not read yet, each with its line feed."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset, self._last = self._offset + len(line), line
                yield line


def last_line(path: Path) -> bytes | None:
    """The last whole line of a file, without its line feed; None where it has none.

    Raises:
        FileNotFoundError: There is no such file.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        wanted = min(size, TAIL_BYTES)
        while wanted:
            file.seek(size - wanted)
            lines = file.read(wanted).split(b"\n")[:-1]
            if len(lines) > 1 or (lines and wanted == size):
                return lines[-1]
            if wanted == size:
                return None
            wanted = min(size, 2 * wanted)
    return None
