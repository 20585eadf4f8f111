"""Results on stdout in the requested format, everything else on stderr."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from cpc_core.errors import ConfigError
from cpc_core.storage_path import StoragePath
from study.cli.tables import OutputConsole, print_fields, print_table

if TYPE_CHECKING:
    from study.control.state import State

Format = Literal["table", "json", "yaml", "csv"]


Output = Annotated[Format, Parameter(name=["--output", "-o"], help="Format of the result.")]


stderr = OutputConsole(stderr=True, highlight=False, soft_wrap=True)


def message(text: str) -> None:
    """Prints a text that is no result."""
    stderr.print(text, markup=False)


def write_file(path: Path, content: bytes) -> None:
    """Writes a file that was named with `--out`, whose folder is created.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        StoragePath.of(path).write_bytes(content)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror}): choose another file with --out"
        ) from error


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
            print_table(rows)


def print_record(record: Mapping[str, Any], output: Format) -> None:
    """Prints a record: a line per field as a table, an object in JSON and YAML, a row in CSV."""
    match output:
        case "json" | "yaml":
            _print_document(dict(record), output)
        case "csv":
            print_rows([record], output)
        case "table":
            print_fields(record)


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
