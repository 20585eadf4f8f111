"""What every source says about a recording, and what a source is."""

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
        path: Below the source's folder.
        label: Primary label, empty where there is none.
        tags: All labels, sorted, `label` included.
        split: The split it names; None where the source leaves that to a draw.
        group: What a drawn split must not separate.
        start_s: Where the part begins.
        end_s: Where it ends; None for the end of the recording.
        source: Where the recording came from, in words.
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
        """What the paths of its entries are below."""

    def entries(self) -> Iterator[Entry]:
        """Its recordings, in any order. A file that is missing is an entry, too: the import says
        so.

        Raises:
            CorpusError: What it says about them cannot be understood; names the file, the line and
                the value.
        """
