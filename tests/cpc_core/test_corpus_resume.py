"""An import that was killed resumes to the same corpus as one that was never interrupted."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.importing import parts
from cpc_core.corpus.importing.run import import_source, in_this_process
from cpc_core.corpus.importing.workspace import Workspace
from cpc_core.corpus.manifest import ImportOptions
from cpc_core.corpus.sources.detect import open_source
from cpc_core.corpus.sources.entry import Entry, Remark
from cpc_core.errors import CorpusError, StorageError
from tests.helpers.imports import OPTIONS, SMALL_SHARDS, content, imported
from tests.helpers.recordings import noise, write_recording

RECORDINGS = 12

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.helpers.imports import imported, small_shards

def kill(done, total):
    if done == 8:
        os.kill(os.getpid(), signal.SIGKILL)

small_shards()
imported(Path(sys.argv[1]), Path(sys.argv[2]), kill)
"""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in SMALL_SHARDS.items():
        monkeypatch.setattr(parts, name, size)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for index in range(RECORDINGS):
        write_recording(tmp_path / "s" / f"class {index % 2}" / f"{index}.wav", noise(0.1, index))
    (tmp_path / "s" / "class 0" / "broken.wav").write_text("not audio")
    return tmp_path / "s"


def interrupted(source: Path, out: Path, at: int) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imported(source, out, interrupt)
    assert not out.exists()


def test_a_killed_import_resumes_to_the_same_bytes(tmp_path: Path, source: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, source, tmp_path / "killed"], check=False, timeout=120
    )
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed").exists()
    with pytest.raises(CorpusError, match="there is no corpus folder"):
        Corpus.open(tmp_path / "killed")
    shards = tmp_path / ".killed.importing" / "corpus"
    finished = {path.name: path.stat().st_mtime_ns for path in shards.glob("*.parquet")}
    assert len(finished) >= 1

    resumed, whole = imported(source, tmp_path / "killed"), imported(source, tmp_path / "whole")
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    assert resumed.corpus.hash == whole.corpus.hash
    assert (resumed.kept > 0, whole.kept) == (True, 0)
    assert {name: (tmp_path / "killed" / name).stat().st_mtime_ns for name in finished} == finished
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "s", "whole"]


@pytest.mark.parametrize("order", [-1, 1])
def test_the_order_of_parts_does_not_matter(tmp_path: Path, source: Path, order: int) -> None:
    def run(work: Workspace, names: Sequence[str], on_recordings: Callable[[int], None]) -> None:
        in_this_process(work, names[::order], on_recordings)

    import_source(open_source(source), tmp_path / "other", OPTIONS, run=run)
    imported(source, tmp_path / "whole")
    assert content(tmp_path / "other") == content(tmp_path / "whole")


@pytest.mark.parametrize(
    "damage", [lambda shard: shard[:-1], lambda shard: bytes([shard[0] ^ 1]) + shard[1:], None]
)
def test_a_finished_shard_that_was_damaged_is_replaced(
    tmp_path: Path, source: Path, damage: Callable[[bytes], bytes] | None
) -> None:
    interrupted(source, tmp_path / "c", at=8)
    shard = min((tmp_path / ".c.importing" / "corpus").glob("*.parquet"))
    if damage is None:
        shard.unlink()
    else:
        shard.write_bytes(damage(shard.read_bytes()))
    imported(source, tmp_path / "c")
    imported(source, tmp_path / "whole")
    assert content(tmp_path / "c") == content(tmp_path / "whole")


def test_a_recording_that_changed_since_is_imported_again(tmp_path: Path, source: Path) -> None:
    interrupted(source, tmp_path / "c", at=RECORDINGS)
    for index in range(RECORDINGS):
        write_recording(source / f"class {index % 2}" / f"{index}.wav", noise(0.1, 100 + index))
    assert imported(source, tmp_path / "c").kept == 0
    imported(source, tmp_path / "whole")
    assert content(tmp_path / "c") == content(tmp_path / "whole")


def test_other_options_start_from_scratch(tmp_path: Path, source: Path) -> None:
    interrupted(source, tmp_path / "c", at=RECORDINGS)
    summary = import_source(open_source(source), tmp_path / "c", ImportOptions(clip_s=0.08))
    assert summary.kept == 0
    assert Corpus.open(tmp_path / "c").clip_samples == 1280


def test_two_imports_into_one_corpus_do_not_mix(tmp_path: Path, source: Path) -> None:
    def meanwhile(done: int, total: int) -> None:
        with pytest.raises(CorpusError, match="another import is writing"):
            imported(source, tmp_path / "c")

    imported(source, tmp_path / "c", meanwhile)
    assert Corpus.open(tmp_path / "c").rows("train") == RECORDINGS - 1


@dataclass(frozen=True)
class Overtaken:
    """A source into whose corpus another import publishes while it is listed."""

    folder: Path
    out: Path

    def entries(self) -> Iterator[Entry | Remark]:
        import_source(open_source(self.folder), self.out, ImportOptions(clip_s=0.08))
        return open_source(self.folder).entries()


def test_a_corpus_published_by_another_import_is_kept(tmp_path: Path, source: Path) -> None:
    with pytest.raises(
        CorpusError, match="c exists already: choose another folder or pass --overwrite"
    ):
        import_source(Overtaken(source, tmp_path / "c"), tmp_path / "c", OPTIONS)
    assert Corpus.open(tmp_path / "c").clip_samples == 1280


@contextmanager
def full_disk(folder: Path) -> Iterator[Path]:
    """File system of 64 KiB at `folder`.

    Where mounting is not allowed, `fsync` fails as on a full disk.
    """
    folder.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=False
        ).returncode
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", _no_space)
            yield folder
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def _no_space(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_one_sentence_and_leaves_no_corpus(tmp_path: Path) -> None:
    for index in range(RECORDINGS):
        write_recording(tmp_path / "s" / "x" / f"{index}.wav", noise(1.0, index))
    with full_disk(tmp_path / "disk") as disk:
        with pytest.raises(
            StorageError,
            match=r"disk/c cannot be written \(No space left on device\): free space or choose",
        ) as error:
            imported(tmp_path / "s", disk / "c")
        assert "\n" not in str(error.value)
        assert [path.name for path in disk.iterdir()] == [".c.importing"]
        assert list(disk.rglob("*.partial")) == []
        for shard in disk.rglob("*.parquet"):
            pq.read_metadata(shard)
        with pytest.raises(CorpusError, match="there is no corpus folder"):
            Corpus.open(disk / "c")


def test_no_space_while_a_shard_is_written_leaves_nothing_of_it(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_for_shards(descriptor: int) -> None:
        if ".parquet" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            _no_space(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail_for_shards)
        with pytest.raises(StorageError, match=r"No space left on device"):
            imported(source, tmp_path / "c")
    assert list((tmp_path / ".c.importing" / "corpus").iterdir()) == []
    imported(source, tmp_path / "c")
    assert Corpus.open(tmp_path / "c").rows("train") == RECORDINGS - 1
