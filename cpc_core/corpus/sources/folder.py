"""A folder of audio with one sub-folder per class, and what counts as audio."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cpc_core.audio import printable
from cpc_core.corpus.sources.entry import Entry
from cpc_core.errors import CorpusError

AUDIO_SUFFIXES = frozenset(
    (
        ".aac",
        ".aif",
        ".aiff",
        ".au",
        ".flac",
        ".m4a",
        ".mp3",
        ".oga",
        ".ogg",
        ".opus",
        ".rf64",
        ".w64",
        ".wav",
        ".wma",
    )
)
"""Files that count as recordings where no table names them; what libsndfile cannot read of these is
reported.
"""


@dataclass(frozen=True)
class ClassFolders:
    """Every audio file below a folder, labelled with its first sub-folder; a file at the top has no
    label.

    Attributes:
        folder: The folder.
    """

    folder: Path

    def entries(self) -> Iterator[Entry]:
        """See `Source`. Raises CorpusError where there is no audio."""
        found = False
        for path in audio_files(self.folder):
            found = True
            label = printable(Path(path.parts[0])) if len(path.parts) > 1 else ""
            yield Entry(path, label, (label,) if label else (), None, printable(path))
        if not found:
            raise CorpusError(
                f"{self.folder} has neither a labels.csv nor audio files: put recordings into one sub-folder per class"
            )


def audio_files(folder: Path) -> Iterator[Path]:
    """Audio files below a folder, relative to it; hidden files and folders are left out.

    Raises:
        CorpusError: A folder cannot be listed.
    """
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                yield (Path(parent) / name).relative_to(folder)


def _refuse(error: OSError) -> None:
    raise CorpusError(
        f"the folder {error.filename} cannot be listed ({error.strerror}): change its rights or move it away"
    ) from error
