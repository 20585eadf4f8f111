"""ESC-50 (Piczak 2015) as published: `meta/esc50.csv` and a folder `audio`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cpc_core.corpus.sources.entry import Entry, Remark
from cpc_core.corpus.sources.rows import read_rows, require_columns

META = Path("meta") / "esc50.csv"
LICENSE = "CC-BY-NC-3.0"
TEST_FOLD = "5"


@dataclass(frozen=True)
class Esc50:
    """Environmental sounds of 5 s in 50 classes; those of ESC-10 also carry the tag `esc10`.

    Clips of one Freesound recording are a group, and lie in one of the five published folds. There
    is no published train and test split: the last fold is the test split here, and dev is drawn
    from the others.

    Attributes:
        folder: Folder with `meta` and `audio`.
    """

    folder: Path

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """True for a folder with `meta/esc50.csv`."""
        return (path / META).is_file()

    @classmethod
    def at(cls, path: Path) -> Esc50:
        """The data set in a folder, or in the folder of a file."""
        return cls(path if path.is_dir() else path.parent)

    def entries(self) -> Iterator[Entry | Remark]:
        """See `Source`."""
        table = self.folder / META
        for _, row in read_rows(table):
            require_columns(
                table, row, ["filename", "fold", "target", "category", "esc10", "src_file"]
            )
            label = row["category"]
            yield Entry(
                path=Path("audio") / row["filename"],
                label=label,
                tags=(label, "esc10") if row["esc10"] == "True" else (label,),
                split="test" if row["fold"] == TEST_FOLD else None,
                group=f"freesound {row['src_file']}",
                source=f"ESC-50 fold {row['fold']}, freesound {row['src_file']}",
                license=LICENSE,
                fold=row["fold"],
                target=row["target"],
            )
        yield Remark(META, f"fold {TEST_FOLD} is the test split; dev is drawn from the others")
