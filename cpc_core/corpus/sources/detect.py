"""Choice of the source for a path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cpc_core.corpus.sources.audioset import AudioSet
from cpc_core.corpus.sources.entry import Entry, Remark, Source, SourceFormat
from cpc_core.corpus.sources.esc50 import Esc50
from cpc_core.corpus.sources.files import is_audio, walk
from cpc_core.corpus.sources.folder import ClassFolders
from cpc_core.corpus.sources.published import AcousticScenes, Fsd50k, UrbanSound8K
from cpc_core.corpus.sources.table import LabelTable
from cpc_core.errors import ConfigError, CorpusError, TableError

SOURCES: dict[str, type[SourceFormat]] = {
    "labels": LabelTable,
    "audioset": AudioSet,
    "esc50": Esc50,
    "urbansound8k": UrbanSound8K,
    "fsd50k": Fsd50k,
    "scenes": AcousticScenes,
    "folder": ClassFolders,
}
"""Formats by their kind; the first that recognises a path is its own."""


_ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"})


def open_source(path: Path, kind: str | None = None) -> Source:
    """Opens the source at `path`: a folder, or one of the tables in it.

    Args:
        path: A folder of audio, of a published data set, or one with labels.csv or labels.parquet;
            or such a table. A folder around one of these and no other audio is the same.
        kind: Key of `SOURCES`; None to recognise it by its files. A table of no other format is a
            label table.

    Raises:
        ConfigError: The kind is unknown.
        CorpusError: There is nothing at `path`, or a table is missing that the kind needs.
        TableError: `path` is a recording or an archive.
    """
    path = path.absolute()
    if not path.exists():
        raise CorpusError(f"there is no folder or table {path}: name a folder of recordings")
    if path.is_file() and (is_audio(path) or path.suffix.lower() in _ARCHIVES):
        cure = "name the folder that it is in" if is_audio(path) else "unpack it first"
        raise TableError(f"{path} is no folder of recordings and no table: {cure}")
    if kind is None:
        kind = next((kind for kind in SOURCES if SOURCES[kind].recognises(path)), "labels")
        if kind == "folder" and (inner := _inner(path)) is not None:
            return inner
    if kind not in SOURCES:
        raise ConfigError(f"unknown kind of source {kind!r}: use one of {', '.join(SOURCES)}")
    return SOURCES[kind].at(path)


@dataclass(frozen=True)
class Wrapped:
    """Source in a folder that holds it and no other audio, as archives unpack.

    Attributes:
        folder: The outer folder.
        inner: The source.
    """

    folder: Path
    inner: Source

    def entries(self) -> Iterator[Entry | Remark]:
        """See `Source`."""
        within = self.inner.folder.relative_to(self.folder)
        for entry in self.inner.entries():
            yield replace(entry, path=within / entry.path)


def _inner(path: Path) -> Wrapped | None:
    """The source in the only folder of audio below a folder, if its files say what it is."""
    inner = {found.path.parts[0] for found in walk(path) if found.is_audio}
    if len(inner) != 1 or not (folder := path / inner.pop()).is_dir():
        return None
    for kind, source in SOURCES.items():
        if kind != "folder" and source.recognises(folder):
            return Wrapped(path, source.at(folder))
    return None
