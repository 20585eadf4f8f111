"""Tables that fit the terminal: no number and no word is broken.

Long texts wrap between words in what the other columns leave. Where that is too little, the last
numbers are left out, and named, down to a few; then each text stands below the table on lines of
its own; then what does not fit is left out, too.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

TEXT = 24
"""Characters from which a cell is a text that may wrap, and that a column of texts has at least."""

NUMBERS = 4
"""Columns of numbers that stay beside a text, which says what the row is."""

_GAP = 2


class OutputConsole(Console):
    """Console whose reader may go away: rich would exit with an error."""

    def on_broken_pipe(self) -> None:
        """Ends the command as if it had written all of its output."""
        raise BrokenPipeError


@dataclass(frozen=True)
class _Column:
    name: str
    cells: tuple[str, ...]
    numeric: bool

    @property
    def header(self) -> str:
        return self.name.replace("_", " ")

    @property
    def is_text(self) -> bool:
        """True if its cells may wrap."""
        return any(len(cell) > TEXT and " " in cell for cell in self.cells)

    @property
    def heads(self) -> _Column | None:
        """Column of what stands before the colon of each text, if that is always one word."""
        heads = tuple(cell.partition(":")[0] for cell in self.cells)
        return None if any(" " in head for head in heads) else replace(self, cells=heads)

    @property
    def most(self) -> int:
        """Characters in which nothing wraps."""
        return max(map(len, (self.header, *self.cells)))

    @property
    def least(self) -> int:
        """Characters that break no word, and no cell that is not a text."""
        words = (word for cell in self.cells for word in cell.split())
        own = max(map(len, words if self.is_text else self.cells), default=0)
        return max(own, TEXT * self.is_text, *(len(word) for word in self.header.split()))


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows that share their keys, which become the columns."""
    console = _console()
    columns = [
        _Column(
            name,
            tuple(cell(row[name]) for row in rows),
            all(isinstance(row[name], int | float | None) for row in rows),
        )
        for name in (rows[0] if rows else ())
    ]
    shown, below, left_out = _fitted(columns, console.width)
    roomy = sum(column.most + _GAP for column in shown) - _GAP <= console.width
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0))
    for column in shown:
        justify: Literal["right", "left"] = "right" if column.numeric else "left"
        least = column.least
        table.add_column(
            column.header,
            justify=justify,
            min_width=least,
            max_width=None if column.is_text or roomy else least,
            overflow="fold",
        )
    for row in zip(*(column.cells for column in shown), strict=True):
        table.add_row(*row)
    console.print(table)
    for column in below:
        _print_below(console, columns[0], column)
    if left_out:
        names = ", ".join(column.header for column in left_out)
        console.print(f"left out at this width: {names} (-o csv has every column)")


def print_fields(record: Mapping[str, Any]) -> None:
    """Prints a line per field; long values wrap between words."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, _GAP, 0, 0))
    for name, value in record.items():
        table.add_row(name.replace("_", " "), cell(value))
    _console().print(table)


def cell(value: Any) -> str:
    """A value as text."""
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _console() -> Console:
    """Console on stdout; what is no terminal has lines of any length."""
    width = None if sys.stdout.isatty() else 10_000
    return OutputConsole(highlight=False, markup=False, width=width)


def _fitted(
    columns: Sequence[_Column], width: int
) -> tuple[list[_Column], list[_Column], list[_Column]]:
    """Columns of the table, texts below it, and columns that are left out."""
    shown = list(columns)
    below: list[_Column] = []
    left_out: list[_Column] = []
    while len(shown) > 1 and _needed(shown) > width:
        texts = [column for column in shown[1:] if column.is_text]
        numbers = [column for column in shown[1:] if column.numeric]
        if numbers and (len(numbers) > NUMBERS or not texts):
            left_out.insert(0, numbers[-1])
            shown.remove(numbers[-1])
        elif texts:
            place, heads = shown.index(texts[-1]), texts[-1].heads
            shown[place : place + 1] = [] if heads is None else [heads]
            below.insert(0, texts[-1])
        else:
            left_out.insert(0, shown.pop())
    return shown, below, left_out


def _needed(columns: Sequence[_Column]) -> int:
    return sum(column.least + _GAP for column in columns) - _GAP


def _print_below(console: Console, first: _Column, column: _Column) -> None:
    """Prints the texts of a column, each with the row that it belongs to."""
    console.print()
    heads = column.heads
    for place, (name, text) in enumerate(zip(first.cells, column.cells, strict=True)):
        if heads is not None and heads.cells[place] == text:
            continue
        line = Text.assemble((f"{first.header} {name}", "bold"), f" {column.header}: {text}")
        console.print(line)
