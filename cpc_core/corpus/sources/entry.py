"""Entries of a source, and the interfaces of the sources."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cpc_core.corpus.manifest import Split


@dataclass(frozen=True, slots=True)
class Entry:
    """One recording to import, or one part of a recording.

    Labels are in composed Unicode form (NFC): what looks alike is one label.

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
        fold: Fold of a published cross-validation.
        task: Task that the label belongs to, where a data set has several.
        target: Value to predict, as its table writes it: a class's number or a quantity.
        note: A reading that the user should know of; it stands in notes.csv, or behind the reason
            of a rejection.
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
    fold: str = ""
    task: str = ""
    target: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", unicodedata.normalize("NFC", self.label))
        tags = {unicodedata.normalize("NFC", tag) for tag in self.tags}
        object.__setattr__(self, "tags", tuple(sorted(tags)))


@dataclass(frozen=True, slots=True)
class Remark:
    """File or folder that says something about the recordings, and is none itself.

    Attributes:
        path: Relative to the source's folder.
        note: A reading of it that the user should know of; empty if there is nothing to say.
    """

    path: Path
    note: str = ""


class Source(Protocol):
    """Recordings that can be listed."""

    @property
    def folder(self) -> Path:
        """Folder to which the paths of the entries are relative."""

    def entries(self) -> Iterator[Entry | Remark]:
        """Lists the recordings, in any order, and remarks on the files that describe them.

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
