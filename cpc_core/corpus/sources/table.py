"""Table of recordings: labels.csv or labels.parquet."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cpc_core.audio import printable
from cpc_core.corpus.manifest import SPLITS, Split
from cpc_core.corpus.sources.entry import Entry, Remark
from cpc_core.corpus.sources.files import Finder
from cpc_core.corpus.sources.rows import dialect, read_rows, require_columns
from cpc_core.errors import CorpusError, TableError

TABLE_NAMES = ("labels.csv", "labels.tsv", "labels.parquet")
_ALIASES = {"labels": "tags", "start": "start_s", "end": "end_s"}
_TEXTS = ("path", "label", "split", "group", "fold", "task", "target", "source", "license")
_MISSING = frozenset({"nan", "<na>", "#n/a", "n/a"}), frozenset({"NA", "None", "NULL", "null"})
"""Words for a value that is not there: in any case, and as they are."""

_JOINED = re.compile(r"[^\s,;][,;][^\s,;]|;")
_LIST = re.compile(r"[\[({].*[\])}]", re.DOTALL)


@dataclass(frozen=True)
class LabelTable:
    """Recordings listed in the rows of a table.

    The column `path` is relative to the table's folder. `label` is the primary label; `tags` (or
    `labels`) are all labels, joined by `|` in text, a list in Parquet; one of the two is required.
    Optional: `split`, in all rows or in none; `start_s` and `end_s` (or `start`, `end`) of a part,
    in seconds; `group`, by default the path; `fold`, `task`, `target`; `source`; `license`. Other
    columns are ignored; capitals in the names of columns do not count. Rows of one recording that
    differ in nothing but the label are one recording with several labels.

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

    def entries(self) -> Iterator[Entry | Remark]:
        """See `Source`.

        Raises:
            TableError: Also if the table is empty, names a split for only some of its rows, or
                joins labels by something else than `|`.
        """
        rows = _Rows(self.table)
        for line, row in read_rows(self.table):
            rows.add(line, row)
        yield from rows.entries()
        yield Remark(Path(self.table.name), rows.note())


@dataclass
class _Rows:
    """Entries of the rows read so far, and what is to be said about them."""

    table: Path
    found: dict[tuple[Path, float, float | None], Entry] = field(default_factory=dict)
    again: list[Entry] = field(default_factory=list)
    splits: set[bool] = field(default_factory=set)
    missing: Counter[str] = field(default_factory=Counter)
    merged: int = 0
    joined: str = ""
    is_joined_by_bars: bool = False
    phrases: int = 0
    lists: int = 0
    spanning: str = ""

    def __post_init__(self) -> None:
        self.finder = Finder(self.table.parent)

    def add(self, line: str, row: dict[str, Any]) -> None:
        """Reads one row."""
        named = self._named(row)
        if not self.splits:
            require_columns(self.table, named, ["path"])
            if not {"label", "tags"} & named.keys():
                raise TableError(
                    f"{self.table} has neither a column label nor a column tags: add one of them"
                )
        entry = self._entry(line, named)
        self.splits.add(entry.split is None)
        if len(self.splits) > 1:
            raise TableError(
                f"{self.table} names a split in some rows only: "
                "fill in the column split, or drop it to have one drawn"
            )
        key = entry.path, entry.start_s, entry.end_s
        other = self.found.setdefault(key, entry)
        if other is not entry:
            self._merge(line, key, other, entry)

    def entries(self) -> Iterator[Entry]:
        """The entries of all rows."""
        if not self.splits:
            raise TableError(f"{self.table} lists no recordings: add one row per recording")
        if self.joined and not self.is_joined_by_bars:
            raise TableError(
                f"{self.joined} seems to be several labels: join them by '|', as in a|b, or write "
                "a label that holds such a sign into the column label"
            )
        yield from self.found.values()
        yield from self.again

    def note(self) -> str:
        """Readings that the user should know of."""
        form = "" if self.table.suffix == ".parquet" else dialect(self.table).note
        values = ", ".join(f"{text!r} ({count})" for text, count in sorted(self.missing.items()))
        notes = [form]
        if self.merged:
            notes.append(f"has one row per label: {self.merged} rows were joined to others")
        if values:
            notes.append(f"values that are taken as missing: {values}")
        if self.lists:
            notes.append(f"has {self.lists} values in brackets, read as lists of labels")
        if self.phrases and not self.is_joined_by_bars:
            notes.append(
                f"has {self.phrases} values with commas or semicolons, each taken as one label: "
                "several are joined by '|' in a column tags"
            )
        if self.spanning:
            notes.append(
                f"has values of several lines, the first in {self.spanning}: if that is a quote "
                "which is not closed, close it, for rows are lost in it"
            )
        return "; ".join(filter(None, notes))

    def _named(self, row: dict[str, Any]) -> dict[str, Any]:
        named: dict[str, Any] = {}
        for name, value in row.items():
            short = str(name).strip().casefold()
            column = _ALIASES.get(short, short)
            if column in named and column in {*_TEXTS, "tags", "start_s", "end_s"}:
                raise TableError(
                    f"{self.table} has two columns for {column}, {', '.join(row)}: remove one"
                )
            named[column] = value
        return named

    def _entry(self, line: str, row: dict[str, Any]) -> Entry:
        texts = {name: self._text(row.get(name)) for name in _TEXTS}
        for name, value in row.items():
            if isinstance(value, str) and "\n" in value.strip():
                if name in ("label", "tags", "split", "group"):
                    raise TableError(
                        f"{line}: {name} {value[:40]!r} spans several lines: close its quote"
                    )
                self.spanning = self.spanning or line
        path, note = self._path(line, texts["path"])
        label, tags = texts["label"], self._tags(line, row.get("tags"))
        if "|" in label or _LIST.fullmatch(label):
            raise TableError(
                f"{line}: label {label!r} is more than one label: write them into a column tags, "
                "joined by '|'"
            )
        self.phrases += bool(_JOINED.search(label))
        start_s = self._seconds(line, row, "start_s") or 0.0
        end_s = self._seconds(line, row, "end_s")
        if end_s is not None and end_s <= start_s:
            raise TableError(
                f"{line}: end_s {end_s:g} is not after start_s {start_s:g}: "
                "swap them or leave end_s empty"
            )
        return Entry(
            path=path,
            label=label,
            tags=tuple({*tags, label} - {""}),
            split=_split(line, texts["split"]),
            group=texts["group"] or printable(path),
            start_s=start_s,
            end_s=end_s,
            source=texts["source"],
            license=texts["license"],
            fold=texts["fold"],
            task=texts["task"],
            target=texts["target"],
            note=note,
        )

    def _text(self, value: Any) -> str:
        if value is None or value != value:  # NaN, as Parquet files of data frames hold it
            return ""
        text = str(value).strip()
        if text.casefold() in _MISSING[0] or text in _MISSING[1]:
            self.missing[text] += 1
            return ""
        return text

    def _path(self, line: str, written: str) -> tuple[Path, str]:
        path = Path(written)
        if not written or path.is_absolute() or ".." in path.parts:
            raise TableError(
                f"{line}: path {written!r} is not a path below {self.table.parent}: "
                "write paths relative to that folder"
            )
        return self.finder.find(written)

    def _tags(self, line: str, value: Any) -> set[str]:
        if isinstance(value, list | tuple | set):
            return {self._text(tag) for tag in value}
        text = self._text(value)
        if _LIST.fullmatch(text):
            try:
                read = ast.literal_eval(text)
            except (SyntaxError, ValueError, MemoryError, RecursionError):
                read = None
            if isinstance(read, list | tuple | set):
                self.lists += 1
                return {self._text(tag) for tag in read}
        if "|" in text:
            self.is_joined_by_bars = True
        elif _JOINED.search(text):
            self.joined = self.joined or f"{line}: {text!r}"
        elif ", " in text:
            self.phrases += 1
        return {self._text(tag) for tag in text.split("|")}

    def _seconds(self, line: str, row: dict[str, Any], column: str) -> float | None:
        text = self._text(row.get(column))
        if not text:
            return None
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < float("inf"):
            raise TableError(
                f"{line}: {column} {text!r} is not a number of seconds: "
                "write it like 12.5 or leave it empty"
            )
        return seconds

    def _merge(
        self, line: str, key: tuple[Path, float, float | None], other: Entry, entry: Entry
    ) -> None:
        """Joins a row to an earlier one of the same recording, unless both are the same."""
        if other.tags == entry.tags or not entry.tags:
            self.again.append(entry)  # The import says that it is listed twice.
            return
        tags = tuple({*other.tags, *entry.tags})
        same = replace(other, label="", tags=tags, target="")
        if same != replace(entry, label="", tags=tags, target=""):
            raise TableError(
                f"{line}: {printable(entry.path)} was listed before with another split, group or "
                "fold: write it once, with its labels in a column tags, joined by '|'"
            )
        self.merged += 1
        self.found[key] = same


def _split(line: str, name: str) -> Split | None:
    for split in SPLITS:
        if name == split:
            return split
    if name:
        raise TableError(f"{line}: unknown split {name!r}: use one of {', '.join(SPLITS)}")
    return None
