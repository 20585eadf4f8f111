"""Messages that native decoders write to the process's stderr, kept for whoever they concern."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

_SHOWN = 3
"""Lines of a recording's messages that are kept: some decoders repeat one for every frame."""


class NativeMessages:
    """Lines that native code has written since they were last taken.

    Args:
        file: Receives what is written to file descriptor 2.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._read = file, 0

    def take(self) -> tuple[str, ...]:
        """The first lines since the last call, each once."""
        end = os.fstat(self._file.fileno()).st_size
        content = os.pread(self._file.fileno(), end - self._read, self._read)
        self._read = end
        lines = (line.strip() for line in content.decode(errors="replace").splitlines())
        return tuple(dict.fromkeys(filter(None, lines)))[:_SHOWN]


@contextmanager
def native_messages() -> Iterator[NativeMessages]:
    """Keeps what native code writes to stderr in the block; Python's own stderr stays the same."""
    sys.stderr.flush()
    before, terminal = sys.stderr, os.dup(2)
    with tempfile.TemporaryFile() as file, os.fdopen(terminal, "w", buffering=1) as own:
        os.dup2(file.fileno(), 2)
        if _writes_to(before, 2):
            sys.stderr = own
        try:
            yield NativeMessages(file)
        finally:
            own.flush()
            os.dup2(terminal, 2)
            sys.stderr = before


def _writes_to(stream: IO[str], descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    except (OSError, AttributeError, ValueError):
        return False
