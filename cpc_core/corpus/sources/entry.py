"""Entries of a source, and the interfaces of the sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cpc_core.corpus.manifest import Split


@dataclass(frozen=True, slots=True)
class Entry:
    """One recording to import, or one part of a recording.

    Attributes:
        path: Relative to the source's folder.
        label: Primary label, empty where there is none.
        tags: All labels, sorted, `label` included.
        split: Split that the source names; None where it is to be drawn.
        group: Unit that a drawn split must not separate.
        start_s: Start of the part.
        end_s: End of the part; None for the end of the recording.
        source: Origin of the recording, as text.
        license: Its licence.
    """

    path: Path
    label: str
    tags: tuple[str, ...]
    split: Split | None
    group: str
    start_s: float = 0.0
    end_s: float | None = None
    source: str = ""
    license: str = ""


class Source(Protocol):
    """Recordings that can be listed."""

    @property
    def folder(self) -> Path:
        """Folder to which the paths of the entries are relative."""

    def entries(self) -> Iterator[Entry]:
        """Lists the recordings, in any order.

        A missing file is also an entry: the import reports it.

        Raises:
            CorpusError: A table cannot be understood; names the file, the line and the value.
        """


class SourceFormat(Source, Protocol):
    """Source that is recognised by its files.

    A new format is one module with a class of this interface, and one line in `detect.SOURCES`.
    """

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """True if the files at `path`, a folder or a table, are of this format."""

    @classmethod
    def at(cls, path: Path) -> Source:
        """The source at `path`, a folder or a table.

        Raises:
            CorpusError: A table that the format needs is missing.
        """
