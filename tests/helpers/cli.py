"""Runs the command line, in this process or in a fresh one."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from study.cli import app
from study.cli.exit_codes import run

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "COLUMNS": "120", "NO_COLOR": "1"}


@dataclass(frozen=True)
class Result:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    def parsed(self, output: str = "json") -> Any:
        """The content of stdout; a list of rows of strings where the format is CSV."""
        return parsed(self.out, output)


def parsed(text: str, output: str) -> Any:
    """The content of a text in JSON, YAML or CSV."""
    if output == "csv":
        return list(csv.DictReader(io.StringIO(text)))
    return json.loads(text) if output == "json" else yaml.safe_load(text)


def cpc(*arguments: str | Path, cwd: Path | str = ".", code: int = 0) -> Result:
    """Runs `cpc` in this process and in `cwd`; it has to end with `code`."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd),
        patch.dict(os.environ, ENVIRONMENT),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        ended = run(app, [*map(str, arguments)])
    assert ended == code, err.getvalue()
    return Result(ended, out.getvalue(), err.getvalue())


def start_cpc(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    """Starts `cpc` in a fresh process and in `cwd`."""
    return subprocess.Popen(
        [sys.executable, "-m", "study.cli", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def cpc_process(*arguments: str | Path, cwd: Path) -> Result:
    """Runs `cpc` in a fresh process and in `cwd`, as a user does."""
    process = start_cpc(*arguments, cwd=cwd)
    try:
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    return Result(process.returncode, out, err)


COMMANDS = [
    "data import", "data info", "data audit", "trial run", "trial reproduce", "study validate",
    "study plan", "study run", "study resume", "study ls", "study show", "study best",
    "study presets", "study submit", "study status", "study logs", "study pause", "study stop",
    "study cancel", "study retry", "study compare", "study explain", "study schema", "study export",
    "study watch", "dashboard", "report", "export", "embed", "probe",
]  # fmt: skip
