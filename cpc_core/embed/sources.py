"""Sources of recordings to embed: a corpus, a folder, a table, a list of paths, one recording."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cpc_core.audio import printable
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.manifest import MANIFEST_NAME
from cpc_core.corpus.sample import SAMPLE_NAME, open_corpus
from cpc_core.corpus.sources.detect import open_source
from cpc_core.corpus.sources.entry import Entry, Remark, Source
from cpc_core.corpus.sources.files import is_audio
from cpc_core.corpus.sources.rows import read_rows, require_columns
from cpc_core.errors import TableError
from cpc_core.storage_path import StoragePath

_LISTS = frozenset({"", ".lst", ".list", ".txt"})
"""Endings of files with a path in each line."""

_LABELS = frozenset({"label", "labels", "tags"})


def open_recordings(source: str) -> Corpus | Source:
    """Opens what a user names.

    Args:
        source: A corpus (`sample`, a folder or a URI), a folder of recordings or a table of them as
            `cpc data import` reads it, a recording, or a list of recordings: a path in each line of
            a text file, or in the column `path` of a table; relative ones below the list's folder.

    Raises:
        CorpusError: There is nothing there, or nothing that can be read.
    """
    if source == SAMPLE_NAME or "://" in source or (Path(source) / MANIFEST_NAME).is_file():
        return open_corpus(source)
    path = Path(StoragePath.of(source))
    if path.is_file() and is_audio(path):
        return PathList(path.parent, (path.name,))
    if path.is_file() and path.suffix.lower() in _LISTS:
        return PathList(path.parent, tuple(_lines(path)))
    if path.is_file() and (paths := _unlabelled(path)) is not None:
        return PathList(path.parent, paths)
    return open_source(path)


@dataclass(frozen=True)
class PathList:
    """Recordings that are named by their paths alone. A `Source`.

    Attributes:
        folder: Folder to which relative paths are relative.
        paths: At least one.
    """

    folder: Path
    paths: tuple[str, ...]

    def entries(self) -> Iterator[Entry | Remark]:
        """See `Source`."""
        for name in self.paths:
            path = Path(name)
            yield Entry(path, "", (), None, printable(path))


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(
            f"{path} cannot be read as a list of paths ({error}): save it as UTF-8 text with a "
            "path in each line"
        ) from error
    return _required(path, [line.strip() for line in lines if line.strip()])


def _unlabelled(table: Path) -> tuple[str, ...] | None:
    """Paths in a table that has no labels; None of a table that has some."""
    paths: list[str] = []
    for _, row in read_rows(table):
        columns = {name.strip().casefold(): name for name in row}
        if not paths and _LABELS & columns.keys():
            return None
        require_columns(table, dict.fromkeys(columns), ["path"])
        paths.append(str(row[columns["path"]]).strip())
    return tuple(_required(table, paths))


def _required(path: Path, paths: list[str]) -> list[str]:
    if not paths:
        raise TableError(f"{path} lists no recordings: write a path into each line")
    return paths
