"""Folder of audio with one sub-folder per class, and the suffixes that count as audio."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cpc_core.audio import printable
from cpc_core.corpus.sources.entry import Entry
from cpc_core.errors import CorpusError

# fmt: off
AUDIO_SUFFIXES = frozenset({
    ".aac", ".aif", ".aiff", ".au", ".flac", ".m4a", ".mp3",
    ".oga", ".ogg", ".opus", ".rf64", ".w64", ".wav", ".wma",
})
# fmt: on
"""Files that count as recordings where no table names them; undecodable ones are reported."""


@dataclass(frozen=True)
class ClassFolders:
    """Every audio file below a folder, labelled with its first sub-folder if it is in one.

    Attributes:
        folder: The folder.
    """

    folder: Path

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """True for any folder."""
        return path.is_dir()

    @classmethod
    def at(cls, path: Path) -> ClassFolders:
        """The recordings of a folder.

        Raises:
            CorpusError: `path` is a file.
        """
        if path.is_file():
            raise CorpusError(f"{path} is a file: name a folder of recordings or a table of them")
        return cls(path)

    def entries(self) -> Iterator[Entry]:
        """See `Source`.

        Raises:
            CorpusError: There is no audio.
        """
        found = False
        for path in audio_files(self.folder):
            found = True
            label = printable(Path(path.parts[0])) if len(path.parts) > 1 else ""
            yield Entry(path, label, (label,) if label else (), None, printable(path))
        if not found:
            raise CorpusError(
                f"{self.folder} has neither a labels.csv nor audio files: "
                "put recordings into one sub-folder per class"
            )


def audio_files(folder: Path) -> Iterator[Path]:
    """Paths of the audio files below a folder, relative to it, without hidden files and folders.

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
        f"the folder {error.filename} cannot be listed ({error.strerror}): "
        "change its permissions or move it away"
    ) from error
