"""Choice of the source for a path."""

from __future__ import annotations

from pathlib import Path

from cpc_core.corpus.sources.audioset import AudioSet
from cpc_core.corpus.sources.entry import Source, SourceFormat
from cpc_core.corpus.sources.esc50 import Esc50
from cpc_core.corpus.sources.folder import ClassFolders
from cpc_core.corpus.sources.table import LabelTable
from cpc_core.errors import ConfigError, CorpusError

SOURCES: dict[str, type[SourceFormat]] = {
    "labels": LabelTable,
    "audioset": AudioSet,
    "esc50": Esc50,
    "folder": ClassFolders,
}
"""Formats by their kind; the first that recognises a path is its own."""


def open_source(path: Path, kind: str | None = None) -> Source:
    """Opens the source at `path`: a folder, or one of the tables in it.

    Args:
        path: A folder of audio, of AudioSet or of ESC-50, or one with labels.csv or labels.parquet;
            or such a table.
        kind: Key of `SOURCES`; None to recognise it by its files. A table of no other format is a
            label table.

    Raises:
        ConfigError: The kind is unknown.
        CorpusError: There is nothing at `path`, or a table is missing that the kind needs.
    """
    path = path.absolute()
    if not path.exists():
        raise CorpusError(f"there is no folder or table {path}: name a folder of recordings")
    if kind is None:
        kind = next((kind for kind in SOURCES if SOURCES[kind].recognises(path)), "labels")
    if kind not in SOURCES:
        raise ConfigError(f"unknown kind of source {kind!r}: use one of {', '.join(SOURCES)}")
    return SOURCES[kind].at(path)
