"""`cpc study export`: a study's numbers for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from cpc_core.errors import ConfigError
from study.analysis.export import FileFormat, encode, report_rows, trial_rows
from study.cli.arguments import Record
from study.cli.output import message, write_file
from study.home import study_record


def export(
    study: Record,
    /,
    *,
    format: FileFormat = "csv",
    rows: Literal["trials", "reports"] = "trials",
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
) -> None:
    """Writes a study's numbers as CSV, Parquet or JSON.

    Parameters
    ----------
    format
        Format of the file.
    rows
        A row per trial, or a row per entry of the trials' metrics logs.
    out
        The file to write, replaced if it is there; stdout by default, which Parquet cannot take.
    """
    if format == "parquet" and out is None:
        raise ConfigError("Parquet is binary: name a file with --out FILE.parquet")
    record = study_record(study)
    table = trial_rows(record) if rows == "trials" else report_rows(record)
    content = encode(table, format)
    if out is None:
        sys.stdout.write(content.decode())
        return
    write_file(out, content)
    message(f"{len(table)} rows of {record.name} in {out}")
