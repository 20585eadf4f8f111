"""Runs the command line in a fresh process, as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from study.cli import app
from study.cli.exit_codes import run


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


def cpc(*arguments: str | Path, cwd: Path) -> Result:
    """Runs `cpc` in `cwd` with one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "study.cli", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return Result(done.returncode, done.stdout, done.stderr)


class Cpc:
    """Runs the command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Stdout and stderr of a command that ends with `code`."""
        ended = run(app, list(arguments))
        captured = self._capsys.readouterr()
        assert ended == code, captured.err
        return captured.out, captured.err


COMMANDS = [
    "data import", "data info", "data audit", "trial run", "trial reproduce", "study validate", "study plan", "study run",
    "study resume", "study ls", "study show", "study best", "study presets", "study submit", "study status", "study logs",
    "study pause", "study stop", "study cancel", "study retry", "study compare", "study explain", "study schema", "study export",
    "study watch", "dashboard", "report", "export", "probe",
]  # fmt: skip
