"""The command line, run as a user runs it."""

from __future__ import annotations

import contextlib
import io
import os
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from study.cli import app
from study.cli.exit_codes import run


@dataclass(frozen=True)
class Result:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


def cpc(*arguments: str | Path, cwd: Path) -> Result:
    """Runs `cpc` in this process, in the folder `cwd` and for a terminal of 120 columns.

    A process of its own would spend seconds on imports; `python -m study.cli` is run where a test
    interrupts or kills it.
    """
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd),
        patch.dict(os.environ, {"COLUMNS": "120", "NO_COLOR": "1"}),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = run(app, [str(argument) for argument in arguments])
    return Result(code, out.getvalue(), err.getvalue())


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
