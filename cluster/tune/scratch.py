"""Folder for files of Ray itself, which no later run reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from cpc_core.storage_path import StoragePath

SCRATCH = ".scratch"


@contextmanager
def scratch_folder(study: StoragePath, *, shared: bool) -> Iterator[str]:
    """Empty folder inside the study, which every node can reach, for the length of the block.

    A folder that a killed driver has left is removed by the next one. While it cannot be, the new
    folder has another name: old stop flags would end new trials.

    Args:
        study: The study folder.
        shared: True if there may be other drivers. Each has a folder of its own then, which stays
            if the driver is killed.
    """
    folder = study / SCRATCH
    _remove(folder)
    if shared or folder.exists():
        folder = study / f"{SCRATCH}-{uuid4().hex[:12]}"
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
