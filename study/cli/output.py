"""Results on stdout in the asked format, everything else on stderr."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

Format = Literal["table", "json", "yaml", "csv"]


stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def message(text: str) -> None:
    """Tells the user something that is no result."""
    stderr.print(text, markup=False)


def next_steps(*commands: str) -> None:
    """Ends a command with what to type next."""
    stderr.print("\n[bold]next[/bold]")
    for command in commands:
        stderr.print(f"  {command}", markup=False)


def print_rows(rows: Sequence[Mapping[str, Any]], output: Format) -> None:
    """Prints rows that share their keys, which become the columns."""
    match output:
        case "json":
            print(_json([dict(row) for row in rows]), end="")  # noqa: T201
        case "yaml":
            print(_yaml([dict(row) for row in rows]), end="")  # noqa: T201
        case "csv":
            writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]) if rows else [])
            writer.writeheader()
            writer.writerows(rows)
        case "table":
            _print_table(rows)


def emit_one(record: Mapping[str, Any], output: Format) -> None:
    """Prints one record: a line per field as a table, an object in JSON and YAML, one row in
    CSV.
    """
    match output:
        case "json" | "yaml":
            emit_document(record, output)
        case "csv":
            print_rows([record], output)
        case "table":
            table = Table(box=None, show_header=False, pad_edge=False)
            for name, value in record.items():
                table.add_row(name.replace("_", " "), _cell(value))
            _print(table)


def emit_document(content: Mapping[str, Any], output: Literal["json", "yaml"]) -> None:
    """Prints a nested mapping."""
    print(_json(dict(content)) if output == "json" else _yaml(dict(content)), end="")  # noqa: T201


def _json(content: Any) -> str:
    from study.analysis.export import json_text

    return json_text(content)


def _yaml(content: Any) -> str:
    import yaml

    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in rows[0] if rows else ():
        numeric = all(isinstance(row[name], int | float | None) for row in rows)
        table.add_column(
            name.replace("_", " "), justify="right" if numeric else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    _print(table)


def _print(table: Table) -> None:
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 200).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
