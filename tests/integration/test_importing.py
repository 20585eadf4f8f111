from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.data.importing import part_task
from cpc_core.corpus.importing.parts import plan_parts
from cpc_core.corpus.importing.run import import_folder
from cpc_core.corpus.importing.splits import with_splits
from cpc_core.corpus.importing.workspace import Workspace
from cpc_core.storage_path import StoragePath
from tests.helpers.imports import OPTIONS, content, imported
from tests.helpers.processes import Marked
from tests.helpers.recordings import noise, recordings, write_recording

RECORDINGS = 24


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for index in range(RECORDINGS):
        write_recording(
            tmp_path / "s" / f"class {index % 2}" / f"{index}.wav",
            noise(0.1, index, rate=8_000),
            rate=8_000,
        )
    (tmp_path / "s" / "class 0" / "broken.wav").write_text("not audio")
    return tmp_path / "s"


def on_ray(marked: Marked, source: Path, out: Path, kill_at: int) -> int:
    arguments = [
        sys.executable,
        "-m",
        "tests.helpers.import_on_ray",
        str(source),
        str(out),
        str(kill_at),
    ]
    return subprocess.run(
        arguments, env=marked.environment, check=False, timeout=300, start_new_session=True
    ).returncode


def test_an_import_killed_on_ray_resumes(
    tmp_path: Path, source: Path, marked: Marked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives the bytes of an import in one process."""
    assert on_ray(marked, source, tmp_path / "c", kill_at=RECORDINGS // 2) == -signal.SIGKILL
    assert marked.all_ended()
    assert not (tmp_path / "c").exists()
    finished = {
        path.name: path.stat().st_mtime_ns
        for path in (tmp_path / ".c.importing" / "corpus").glob("*.parquet")
    }
    assert len(finished) >= 3

    assert on_ray(marked, source, tmp_path / "c", kill_at=RECORDINGS + 2) == 0
    assert {name: (tmp_path / "c" / name).stat().st_mtime_ns for name in finished} == finished
    monkeypatch.setattr("cpc_core.corpus.importing.parts.SHARD_BYTES", 3 * 3200)
    monkeypatch.setattr("cpc_core.corpus.importing.parts.LARGEST_SHARD_BYTES", 4 * 3200)
    imported(source, tmp_path / "whole")
    assert content(tmp_path / "c") == content(tmp_path / "whole")
    assert marked.all_ended()


def test_a_task_that_cannot_write_says_so_instead_of_failing(tmp_path: Path, source: Path) -> None:
    work = Workspace(StoragePath.of(tmp_path / "c"))
    entries = with_splits(recordings(source), 0.0, 0)
    (part,) = plan_parts(source, entries, OPTIONS)
    work.add(part)
    (tmp_path / ".c.importing" / "corpus").write_text("in the way")
    (row,) = part_task(work, {"part": [part.name]}).to_pylist()
    assert row["error"].startswith(f"the corpus {tmp_path / 'c'} cannot be written (")
    (tmp_path / ".c.importing" / "corpus").unlink()
    assert part_task(work, {"part": [part.name]}).to_pylist() == [
        {"recordings": RECORDINGS + 1, "error": ""}
    ]
    assert (
        import_folder(source, tmp_path / "c", OPTIONS).corpus.manifest.totals.recordings
        == RECORDINGS + 1
    )
