"""Results on stdout in the requested format, everything else on stderr."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from study.control.state import State

Format = Literal["table", "json", "yaml", "csv"]


Output = Annotated[Format, Parameter(name=["--output", "-o"], help="Format of the result.")]


stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def message(text: str) -> None:
    """Prints a text that is no result."""
    stderr.print(text, markup=False)


def next_steps(*commands: str) -> None:
    """Ends a command with the commands to type next."""
    stderr.print("\n[bold]next[/bold]")
    for command in commands:
        stderr.print(f"  {command}", markup=False)


def print_rows(rows: Sequence[Mapping[str, Any]], output: Format) -> None:
    """Prints rows that share their keys, which become the columns."""
    match output:
        case "json" | "yaml":
            _print_document([dict(row) for row in rows], output)
        case "csv":
            writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]) if rows else [])
            writer.writeheader()
            writer.writerows(rows)
        case "table":
            table = Table(box=None, header_style="bold", pad_edge=False)
            for name in rows[0] if rows else ():
                numeric = all(isinstance(row[name], int | float | None) for row in rows)
                justify: Literal["right", "left"] = "right" if numeric else "left"
                table.add_column(name.replace("_", " "), justify=justify, overflow="fold")
            for row in rows:
                table.add_row(*map(_cell, row.values()))
            _print_table(table)


def print_record(record: Mapping[str, Any], output: Format) -> None:
    """Prints a record: a line per field as a table, an object in JSON and YAML, a row in CSV."""
    match output:
        case "json" | "yaml":
            _print_document(dict(record), output)
        case "csv":
            print_rows([record], output)
        case "table":
            table = Table(box=None, show_header=False, pad_edge=False)
            for name, value in record.items():
                table.add_row(name.replace("_", " "), _cell(value))
            _print_table(table)


def state_text(state: State, study: object) -> str:
    """The state of a study, with the command that continues it."""
    resume = f"`cpc study resume {study}`"
    return {
        "running": "running",
        "pausing": "pausing: no new trials, the running ones train to their end; "
        f"{resume} lifts the pause",
        "stopping": "stopping: the running trials train to their next report",
        "paused": f"paused: {resume} continues it",
        "stopped": f"stopped: {resume} continues it",
        "interrupted": f"interrupted, no process is running it: {resume} continues it",
        "ended": "ended",
    }[state]


def _print_document(content: Any, output: Literal["json", "yaml"]) -> None:
    from study.analysis.export import json_text
    from study.spec.yaml_document import dump

    text = json_text(content) if output == "json" else dump(content)
    print(text, end="")  # noqa: T201


def _print_table(table: Table) -> None:
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 200).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
