"""The temporary folder of a Ray: short, and not left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cluster.kinds import temporary
from cluster.kinds.temporary import LONGEST, temporary_folder

SOCKET = "/ray/session_2026-11-26_23-25-46_123456_1234567/sockets/plasma_store"


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_socket_fits_into_its_path(base: Path) -> None:
    with temporary_folder() as folder:
        assert Path(folder).parent == base
        assert len(folder) <= LONGEST
        assert len(folder + SOCKET) <= 107
    assert list(base.iterdir()) == []


def test_another_folder_takes_the_place_of_a_long_one(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = base / "slurm_jobdir_1355700_slurm_jobdir_1355700" / "tmp"
    long.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    with temporary_folder() as folder:
        assert Path(folder).parent == base


def test_what_a_killed_process_left_is_removed(base: Path) -> None:
    code = (
        "import os, tempfile; from cluster.kinds.temporary import temporary_folder\n"
        f"tempfile.tempdir = {str(base)!r}\n"
        "with temporary_folder() as folder: os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    (left_over,) = base.iterdir()
    (base / "cpc-theirown").mkdir()
    with temporary_folder() as outer, temporary_folder() as inner:
        assert not left_over.exists()
        assert Path(outer).exists()
        assert Path(inner).exists()
    assert [path.name for path in base.iterdir()] == ["cpc-theirown"]
    assert temporary.LONGEST < 40


def test_what_a_process_still_uses_stays_for_the_next_time(base: Path) -> None:
    left_over = base / "cpc-12345678"
    left_over.mkdir()
    (left_over / "lock").touch()
    orphan = subprocess.Popen(
        ["sleep", "60"], env={"RAY_TMPDIR": str(left_over), "PATH": os.environ["PATH"]}
    )
    try:
        with temporary_folder():
            assert left_over.exists()
    finally:
        orphan.kill()
        orphan.wait()
    with temporary_folder():
        assert not left_over.exists()


def test_what_ray_created_again_after_the_end_is_removed(base: Path) -> None:
    again = base / "cpc-12345678" / "ray" / "session_2026-11-26_23-25-46_123456_1234567"
    again.mkdir(parents=True)
    theirs = base / "cpc-theirown" / "ray"
    theirs.mkdir(parents=True)
    (base / "cpc-theirown" / "notes.txt").touch()
    with temporary_folder():
        assert [path.name for path in base.glob("cpc-*own")] == ["cpc-theirown"]
        assert not (base / "cpc-12345678").exists()
