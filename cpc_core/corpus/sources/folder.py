"""Folder of audio with one sub-folder per class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cpc_core.audio import printable
from cpc_core.corpus.sources.entry import Entry, Remark
from cpc_core.corpus.sources.files import walk
from cpc_core.corpus.sources.split_folders import split_folders
from cpc_core.errors import CorpusError


@dataclass(frozen=True)
class ClassFolders:
    """Every audio file below a folder, labelled with its first sub-folder if it is in one.

    Folders whose names are those of splits are splits, and the others the labels.

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

    def entries(self) -> Iterator[Entry | Remark]:
        """See `Source`.

        Raises:
            CorpusError: There is no audio, or it is not clear which folders are splits.
        """
        paths = list(audio_files(self.folder))
        if not paths:
            raise CorpusError(f"{self.folder} has {_nothing(self.folder)}")
        splits = split_folders(paths)
        if splits is not None:
            yield Remark(Path(), splits.note)
        for path in paths:
            if splits is None:
                name = path.parts[0] if len(path.parts) > 1 else ""
            else:
                name = splits.label(path)
            label = printable(Path(name)) if name else ""
            split = None if splits is None else splits.of(path)
            yield Entry(path, label, (label,) if label else (), split, printable(path))


def audio_files(folder: Path) -> Iterator[Path]:
    """Paths of the audio files below a folder, relative to it, without hidden files and folders.

    Raises:
        CorpusError: A folder cannot be listed.
    """
    return (found.path for found in walk(folder) if found.is_audio)


def _nothing(folder: Path) -> str:
    kinds = sorted({found.kind for found in walk(folder)})
    return (
        "neither a labels.csv nor audio files"
        + (f", only files of other kinds ({', '.join(kinds[:8])})" if kinds else "")
        + ": put recordings into one sub-folder per class"
    )
