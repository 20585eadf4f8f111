"""Temporary folder of a Ray, short enough for its sockets, and removed even after a kill."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cluster.kinds.capacity import ClusterError

LONGEST = 37
"""Characters of the folder's path: a socket's has at most 107, and Ray adds up to 70 to it:
`/ray/session_2026-11-26_23-25-46_123456_1234567/sockets/plasma_store`.
"""

_PREFIX, _LOCK, _OF_RAY = "cpc-", "lock", "ray"


@contextmanager
def temporary_folder() -> Iterator[str]:
    """Folder for the length of the block; folders of processes that were killed are removed.

    Raises:
        ClusterError: No folder with a short path can be written.
    """
    base = _base()
    _remove_left_over(base)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    try:
        with (folder / _LOCK).open("w") as lock:
            # The system drops it with the process, however that ends.
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _base() -> Path:
    """Folder for temporary files: schedulers may set a long `TMPDIR`."""
    wanted = (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR"), "/tmp", "/dev/shm")
    for place in wanted:
        if place and len(f"{place}/{_PREFIX}12345678") <= LONGEST and os.access(place, os.W_OK):
            return Path(place)
    raise ClusterError(
        f"the path of {tempfile.gettempdir()} is too long for Ray's sockets, and neither /tmp nor "
        f"/dev/shm can be written: set TMPDIR to a path of at most {LONGEST - 13} characters"
    )


def _remove_left_over(base: Path) -> None:
    """Removes this user's folders whose process has ended without removing them.

    Some of Ray's processes live on for a minute after their driver. They create what was removed
    again, without the lock by which it is known; then it holds nothing but Ray's folder.
    """
    for folder in base.glob(f"{_PREFIX}????????"):
        try:
            if folder.stat().st_uid != os.getuid():
                continue
            if [entry.name for entry in folder.iterdir()] == [_OF_RAY] and not _is_used(folder):
                shutil.rmtree(folder, ignore_errors=True)
                continue
            with (folder / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not _is_used(folder):
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # In use, not one of ours, or gone meanwhile.


def _is_used(folder: Path) -> bool:
    """True if a process has it for its temporary files."""
    named = f"RAY_TMPDIR={folder}\0".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if named in environment.read_bytes() + b"\0":
                return True
    return False
