"""What Ray writes for itself. Nothing of it is ever read again: the trials' folders and the store are the study."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCRATCH = ".scratch"


@contextmanager
def scratch_folder(study: Path) -> Iterator[Path]:
    """An empty folder inside the study, because every node sees that one; gone at the end, or when the next driver starts."""
    folder = study / SCRATCH
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
