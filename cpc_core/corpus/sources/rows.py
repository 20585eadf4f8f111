"""Rows of the tables that describe recordings."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cpc_core.errors import CorpusError


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a CSV or Parquet file, each with its file and line for messages.

    In CSV every value is text.

    Raises:
        CorpusError: The file is missing or is no such table.
    """
    if not path.is_file():
        raise CorpusError(f"there is no file {path}: put it there, or name another source")
    return _parquet_rows(path) if path.suffix == ".parquet" else _csv_rows(path)


def require_columns(path: Path, row: dict[str, Any], columns: Sequence[str]) -> None:
    """Checks that a row of the file at `path` has all `columns`.

    Raises:
        CorpusError: One is missing; names the first of these, and the columns of the row.
    """
    for name in columns:
        if name not in row:
            raise CorpusError(
                f"{path} has no column {name}, only {', '.join(sorted(row)) or 'nothing'}: add it"
            )


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="", restkey="")
            for row in reader:
                yield f"{path}, line {reader.line_num}", row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(
            f"{path} cannot be read as UTF-8 CSV ({error}): save it as UTF-8 with commas"
        ) from error


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    count = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    count += 1
                    yield f"{path}, row {count}", row
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(
            f"{path} cannot be read as Parquet ({str(error).splitlines()[0]}): write it again"
        ) from error
