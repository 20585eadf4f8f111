"""Outputs that are closed, full, narrow in letters, or read only in part."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

CPC = f"{sys.executable} -m study.cli"


def shell(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        check=False,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_full_disk_behind_the_output_is_one_sentence(tmp_path: Path) -> None:
    ended = shell(f"{CPC} study presets > /dev/full", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == "cpc: the output cannot be written (No space left on device)\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_output_is_no_error(tmp_path: Path, closed: str) -> None:
    ended = shell(f"{CPC} study presets {closed}", tmp_path)
    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("output", ["table", "json", "csv"])
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, output: str) -> None:
    ended = shell(f"{CPC} study explain -o {output} | true", tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "") or "next" in ended.stderr


def test_letters_that_the_encoding_lacks_are_question_marks(tmp_path: Path) -> None:
    ended = shell(f"PYTHONIOENCODING=ascii {CPC} study explain space.temperature", tmp_path)
    assert ended.returncode == 0
    assert "? divides the similarity" in ended.stdout


def test_the_version_is_the_packages(tmp_path: Path) -> None:
    assert shell(f"{CPC} --version", tmp_path).stdout.strip() == metadata.version("cpc-study")
