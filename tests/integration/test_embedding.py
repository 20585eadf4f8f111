"""Embedding by actors of Ray, and by a process that is stopped."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.helpers.cli import cpc_process, start_cpc
from tests.helpers.exports import export
from tests.helpers.recordings import noise, write_recording


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and recordings of 30 minutes in three parts, one of which cannot be read."""
    home = tmp_path_factory.mktemp("home")
    export(home)
    for index in range(6):
        write_recording(home / "audio" / f"{index}.wav", noise(290.0, index, 8_000), 8_000)
    (home / "audio" / "broken.wav").write_text("no audio")
    return home


@pytest.fixture(scope="module")
def wanted(home: Path) -> pa.Table:
    """Features that one process has written, after another one was stopped by SIGTERM."""
    arguments = ("embed", "model", "audio", "-o", "one.parquet")
    process = start_cpc(*arguments, cwd=home)
    workspace = home / ".one.parquet.embedding"
    await_part(process, workspace)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; the same command goes on" in said and "Traceback" not in said
    assert not (home / "one.parquet").exists()
    resumed = cpc_process(*arguments, cwd=home)
    assert resumed.code == 0 and "by an earlier, interrupted call" in resumed.err
    assert not workspace.exists()
    return pq.read_table(home / "one.parquet")


def await_part(process: subprocess.Popen[str], workspace: Path) -> None:
    while not list(workspace.glob("part-*.parquet")):
        assert process.poll() is None
        time.sleep(0.02)


def test_actors_write_what_one_process_writes(home: Path, wanted: pa.Table) -> None:
    ended = cpc_process("embed", "model", "audio", "-o", "many.parquet", "--tasks", "2", cwd=home)
    assert ended.code == 0, ended.err
    assert "core_worker" not in ended.err
    assert "7 recordings" in ended.err and "1 could not be used" in ended.err
    found = pq.read_table(home / "many.parquet")
    assert found.drop_columns("embedding").equals(wanted.drop_columns("embedding"))
    assert found.schema.metadata == wanted.schema.metadata
    here, there = (
        table["embedding"].combine_chunks().flatten().to_numpy() for table in (wanted, found)
    )
    assert np.allclose(here, there, atol=3e-6)
    assert (home / "many.notes.csv").read_text() == (home / "one.notes.csv").read_text()
