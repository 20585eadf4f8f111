"""A full disk ends a run with its reason, and the same command goes on once there is space."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.cli import cpc
from tests.helpers.specs import TINY_BASE, tiny_spec, written

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def grow(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)


def long_base() -> dict[str, object]:
    training = {**TINY_BASE["training"], "steps": 120, "report_every": 10, "collapse_window": 500}
    return {**TINY_BASE, "training": training, "encoder": {"width": 16}}


@NEEDS_ROOT
def test_a_trial_says_so_and_resumes(tmp_path: Path, disk: Path) -> None:
    spec = written(tmp_path, tiny_spec(base=long_base(), space={}).to_yaml())
    command = ("trial", "run", "--base", spec, "--threads", "1", "-o", disk / "t")
    stopped = cpc(*command, cwd=tmp_path, code=1)
    assert "cannot be written (No space left on device): free space; the same" in stopped.err
    assert "Traceback" not in stopped.err
    grow(disk)
    assert "CPC accuracy" in cpc(*command, cwd=tmp_path).err


@NEEDS_ROOT
@pytest.mark.parametrize("workers", [1, 2])
def test_a_study_leaves_its_trial_resumable(tmp_path: Path, disk: Path, workers: int) -> None:
    resources = {"concurrent_trials": 1, "workers": workers, "cpus_per_worker": 0.5}
    wanted = tiny_spec(base=long_base(), space={}, resources=resources)
    spec = written(tmp_path, wanted.to_yaml())
    stopped = cpc("study", "run", spec, "-o", disk / "s", cwd=tmp_path, code=1)
    assert "cannot be written (No space left on device): free space; the same" in stopped.err
    assert "Traceback" not in stopped.err
    grow(disk)
    assert "1 complete" in cpc("study", "resume", disk / "s", cwd=tmp_path).err
