"""Table of recordings: labels.csv or labels.parquet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpc_core.audio import printable
from cpc_core.corpus.manifest import SPLITS, Split
from cpc_core.corpus.sources.entry import Entry
from cpc_core.corpus.sources.rows import read_rows, require_columns
from cpc_core.errors import CorpusError

TABLE_NAMES = ("labels.csv", "labels.parquet")
_ALIASES = {"labels": "tags", "start": "start_s", "end": "end_s"}


@dataclass(frozen=True)
class LabelTable:
    """Recordings listed in the rows of a table.

    The column `path` is relative to the table's folder. `label` is the primary label; `tags` (or
    `labels`) are all labels, joined by `|` in CSV, a list in Parquet; one of the two is required.
    Optional: `split`, in all rows or in none; `start_s` and `end_s` (or `start`, `end`) of a part,
    in seconds; `group`, by default the path; `source`; `license`. Other columns are ignored.

    Attributes:
        table: The file.
    """

    table: Path

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """True for a folder with one of `TABLE_NAMES`."""
        return any((path / name).is_file() for name in TABLE_NAMES)

    @classmethod
    def at(cls, path: Path) -> LabelTable:
        """The table at `path`, or the first of `TABLE_NAMES` in the folder at `path`.

        Raises:
            CorpusError: The folder has none of them.
        """
        if path.is_file():
            return cls(path)
        for name in TABLE_NAMES:
            if (path / name).is_file():
                return cls(path / name)
        raise CorpusError(
            f"{path} has no {' or '.join(TABLE_NAMES)}: add one with the columns path and label"
        )

    @property
    def folder(self) -> Path:
        """Folder of the table."""
        return self.table.parent

    def entries(self) -> Iterator[Entry]:
        """See `Source`.

        Raises:
            CorpusError: Also if the table is empty, or names a split for only some of its rows.
        """
        splits: set[bool] = set()
        for line, row in read_rows(self.table):
            named = {_ALIASES.get(name, name): value for name, value in row.items()}
            if not splits:
                _require_columns(self.table, named)
            entry = _entry(line, self.folder, named)
            splits.add(entry.split is None)
            if len(splits) > 1:
                raise CorpusError(
                    f"{self.table} names a split in some rows only: "
                    "fill in the column split, or drop it to have one drawn"
                )
            yield entry
        if not splits:
            raise CorpusError(f"{self.table} lists no recordings: add one row per recording")


def _require_columns(table: Path, row: dict[str, Any]) -> None:
    require_columns(table, row, ["path"])
    if not {"label", "tags"} & row.keys():
        raise CorpusError(f"{table} has neither a column label nor a column tags: add one of them")


def _entry(line: str, folder: Path, row: dict[str, Any]) -> Entry:
    path = Path(str(row["path"]))
    if not row["path"] or path.is_absolute() or ".." in path.parts:
        raise CorpusError(
            f"{line}: path {row['path']!r} is not a path below {folder}: "
            "write paths relative to that folder"
        )
    label = _text(row, "label")
    start_s, end_s = _seconds(line, row, "start_s") or 0.0, _seconds(line, row, "end_s")
    if end_s is not None and end_s <= start_s:
        raise CorpusError(
            f"{line}: end_s {end_s:g} is not after start_s {start_s:g}: "
            "swap them or leave end_s empty"
        )
    return Entry(
        path=path,
        label=label,
        tags=tuple(sorted({*_tags(row), label} - {""})),
        split=_split(line, _text(row, "split")),
        group=_text(row, "group") or printable(path),
        start_s=start_s,
        end_s=end_s,
        source=_text(row, "source"),
        license=_text(row, "license"),
    )


def _text(row: dict[str, Any], column: str) -> str:
    value = row.get(column)
    return "" if value is None else str(value).strip()


def _tags(row: dict[str, Any]) -> set[str]:
    value = row.get("tags")
    return {
        str(tag).strip()
        for tag in (value if isinstance(value, list) else _text(row, "tags").split("|"))
    }


def _split(line: str, name: str) -> Split | None:
    for split in SPLITS:
        if name == split:
            return split
    if name:
        raise CorpusError(f"{line}: unknown split {name!r}: use one of {', '.join(SPLITS)}")
    return None


def _seconds(line: str, row: dict[str, Any], column: str) -> float | None:
    text = _text(row, column)
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise CorpusError(
            f"{line}: {column} {text!r} is not a number of seconds: "
            "write it like 12.5 or leave it empty"
        )
    return seconds
