"""Rows of the tables that describe recordings, in the dialects that programs write."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cpc_core.errors import CorpusError, TableError

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "'|'"}
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SNIFFED_BYTES = 2**16


@dataclass(frozen=True)
class Dialect:
    """Form of a table of text.

    Attributes:
        encoding: Name of the codec.
        separator: Character between two fields.
        skipped: Lines before the header: empty ones, and comments that begin with `#`.
    """

    encoding: str
    separator: str
    skipped: int = 0

    @property
    def note(self) -> str:
        """Difference from UTF-8 with commas as text, empty if there is none."""
        encoding = "" if self.encoding.startswith("utf-8") else f"is {self.encoding.upper()}"
        commas = "" if self.separator == "," else f"is separated by {_SEPARATORS[self.separator]}"
        return " and ".join(filter(None, (encoding, commas)))


def read_rows(path: Path, header: Sequence[str] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a table, each with its file and line for messages.

    Columns are named as in the first line, without the blanks around a name. Tables of text are
    UTF-8, or UTF-16 or UTF-32 with a byte order mark; fields are separated by commas, or where the
    first line has none, by semicolons, tabs or `|`. Every value of them is text.

    Args:
        path: A file of text, or of Parquet if its name ends so.
        header: Names of the columns of a table that has none in its first line.

    Raises:
        CorpusError: The file is missing.
        TableError: It is no such table; names the line and what to change.
    """
    if not path.is_file():
        raise CorpusError(f"there is no file {path}: put it there, or name another source")
    return _parquet_rows(path) if path.suffix == ".parquet" else _text_rows(path, header)


def require_columns(path: Path, row: dict[str, Any], columns: Sequence[str]) -> None:
    """Checks that a row of the file at `path` has all `columns`.

    Raises:
        TableError: One is missing; names the first of these, and the columns of the row.
    """
    for name in columns:
        if name not in row:
            raise TableError(
                f"{path} has no column {name}, only {', '.join(sorted(row)) or 'nothing'}: add it "
                "to the first line, which names the columns"
            )


def dialect(path: Path) -> Dialect:
    """Form of the table at `path`.

    Raises:
        TableError: It is no text, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_SNIFFED_BYTES)
    except OSError as error:
        raise TableError(f"{path} cannot be read ({error.strerror}): change its rights") from error
    encoding = next((name for bom, name in _BOMS.items() if start.startswith(bom)), "utf-8")
    if encoding.startswith("utf-8") and b"\0" in start:
        raise TableError(
            f"{path} cannot be read as UTF-8 CSV (it holds zero bytes, as UTF-16 without a byte "
            "order mark or a spreadsheet's own format does): save it as UTF-8 with commas"
        )
    lines = start.decode(encoding, "replace").splitlines() or [""]
    written = (number for number, line in enumerate(lines) if line.strip()[:1] not in ("", "#"))
    skipped = next(written, 0)
    first = lines[skipped].strip()
    if first.casefold().startswith("sep=") and first[4:] in _SEPARATORS:
        return Dialect(encoding, first[4:], skipped + 1)  # as spreadsheets write it
    separator = next((each for each in _SEPARATORS if _count(first, each)), ",")
    return Dialect(encoding, separator, skipped)


def _count(line: str, separator: str) -> int:
    """Occurrences outside of quotes."""
    return sum(part.count(separator) for part in line.split('"')[::2])


def _text_rows(path: Path, header: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    form = dialect(path)
    try:
        with path.open(newline="", encoding=form.encoding) as file:
            for _ in range(form.skipped):
                file.readline()
            lines = _Lines(file, form.skipped)
            reader = csv.reader(lines, delimiter=form.separator, skipinitialspace=True, strict=True)
            names = list(header)
            for row in _records(path, lines, reader):
                line = f"{path}, line {lines.first}"
                if not names:
                    names = _header(line, row)
                    continue
                yield line, _named(line, names, row, form)
    except OSError as error:
        raise TableError(f"{path} cannot be read ({error.strerror}): change its rights") from error
    except UnicodeError as error:
        raise TableError(
            f"{_undecodable(path, form)} cannot be read as UTF-8 CSV ({error}): "
            "save the table as UTF-8 with commas"
        ) from error


class _Lines:
    """Lines of a file, and the number of the one in which the current record begins."""

    def __init__(self, file: io.TextIOWrapper, before: int) -> None:
        self.first = self.last = before
        self._file = file

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.last += 1
            yield line


def _records(path: Path, lines: _Lines, reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """Records that are not empty."""
    while True:
        begin = lines.last
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise TableError(
                f"{path}, line {begin + 1}: {_csv_problem(error, lines.last - begin)}"
            ) from error
        lines.first = begin + 1
        if any(field.strip() for field in row):
            yield row


def _csv_problem(error: csv.Error, lines: int) -> str:
    if "unexpected end of data" in str(error) or "expected after" in str(error) or lines > 1:
        return (
            "a quote is not closed, or stands alone inside a quoted value: close it, or write it "
            "twice"
        )
    return f"cannot be read ({error}): correct the line"


def _header(line: str, row: Sequence[str]) -> list[str]:
    names = [name.strip() for name in row]
    while names and not names[-1]:
        names.pop()
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise TableError(f"{line}: two columns are named {twice[0]!r}: rename or remove one")
    return names


def _named(line: str, names: Sequence[str], row: list[str], form: Dialect) -> dict[str, str]:
    while len(row) > len(names) and not row[-1].strip():
        row.pop()
    if len(row) != len(names):
        many = len(row) > len(names)
        raise TableError(
            f"{line}: {len(row)} fields where the header has {len(names)}: "
            + (
                f"put quotes around a value that holds {form.separator!r}"
                if many
                else "write all of them, an empty one for a missing value"
            )
        )
    return dict(zip(names, row, strict=True))


def _undecodable(path: Path, form: Dialect) -> str:
    """The file, with its first line that is not of its encoding."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode(form.encoding)
            except UnicodeError:
                return f"{path}, line {number}" if form.encoding.startswith("utf-8") else str(path)
    return str(path)


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    count = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    count += 1
                    yield f"{path}, row {count}", row
    except (OSError, pa.ArrowException) as error:
        raise TableError(
            f"{path} cannot be read as Parquet ({str(error).splitlines()[0]}): write it again"
        ) from error
