"""From what a user names to a source."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias, get_args

from cpc_core.corpus.sources.audioset import CLASSES_NAME, SEGMENTS_PATTERN, AudioSet
from cpc_core.corpus.sources.entry import Source
from cpc_core.corpus.sources.esc50 import META, Esc50
from cpc_core.corpus.sources.folder import ClassFolders
from cpc_core.corpus.sources.table import TABLE_NAMES, LabelTable
from cpc_core.errors import CorpusError

SourceKind: TypeAlias = Literal["labels", "audioset", "esc50", "folder"]


KINDS: tuple[SourceKind, ...] = get_args(SourceKind)


def open_source(path: Path, kind: SourceKind | None = None) -> Source:
    """The source at `path`: a folder, or one of the tables in it.

    Args:
        path: A folder of audio, of AudioSet or of ESC-50, or one with labels.csv or labels.parquet;
            or such a table.
        kind: What it is; None to tell by the files that are there, in the order of `KINDS`.

    Raises:
        CorpusError: There is nothing, or a table is missing that the kind needs.
    """
    path = path.absolute()
    if not path.exists():
        raise CorpusError(f"there is no folder or table {path}: name a folder of recordings")
    return _make(path, kind or _kind(path))


def _kind(path: Path) -> SourceKind:
    folder = path if path.is_dir() else path.parent
    if path.is_file():
        return (
            "audioset"
            if (folder / CLASSES_NAME).is_file() and path.match(SEGMENTS_PATTERN)
            else "labels"
        )
    if _table(path) is not None:
        return "labels"
    # A segment table alone is enough: that its class names are missing is then the message.
    if (folder / CLASSES_NAME).is_file() or any(folder.glob(SEGMENTS_PATTERN)):
        return "audioset"
    return "esc50" if (folder / META).is_file() else "folder"


def _make(path: Path, kind: SourceKind) -> Source:
    folder = path if path.is_dir() else path.parent
    match kind:
        case "audioset":
            return AudioSet(folder, (path,) if path.is_file() else ())
        case "esc50":
            return Esc50(folder)
        case "folder":
            if path.is_file():
                raise CorpusError(
                    f"{path} is a file: name a folder of recordings or a table of them"
                )
            return ClassFolders(folder)
        case "labels":
            table = path if path.is_file() else _table(path)
            if table is None:
                raise CorpusError(
                    f"{path} has no {' or '.join(TABLE_NAMES)}: add one with the columns path and label"
                )
            return LabelTable(table)


def _table(folder: Path) -> Path | None:
    return next((folder / name for name in TABLE_NAMES if (folder / name).is_file()), None)
