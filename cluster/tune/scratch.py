"""What Ray writes for itself. Nothing of it is ever read again: the trials' folders and the store
are the study.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from cpc_core.storage_path import StoragePath

SCRATCH = ".scratch"


@contextmanager
def scratch_folder(study: StoragePath, *, shared: bool) -> Iterator[str]:
    """An empty folder inside the study, because every node sees that one; gone at the end, or when
    the next driver starts.

    Args:
        study: The study folder.
        shared: Whether there may be other drivers. Each has a folder of its own then, which stays
            if it is killed.
    """
    folder = study / (f"{SCRATCH}-{uuid4().hex[:12]}" if shared else SCRATCH)
    _remove(folder)
    if folder.is_local:
        Path(folder).mkdir(exist_ok=True)
    try:
        yield str(folder)
    finally:
        _remove(folder)


def _remove(folder: StoragePath) -> None:
    # Processes of Ray that are just ending may still write there.
    with suppress(OSError):
        folder.remove()
