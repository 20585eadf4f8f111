"""Corpora in an object store: a real server of the S3 protocol on this machine's loopback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from pyarrow.fs import FileSelector, FileType

from cpc_core import storage_path
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.importing import workspace
from cpc_core.corpus.importing.run import import_folder, import_source, in_this_process
from cpc_core.corpus.importing.workspace import Workspace
from cpc_core.corpus.manifest import ImportOptions
from cpc_core.corpus.reading.batches import batches_in_process
from cpc_core.corpus.reading.order import ReadPlan, read_window
from cpc_core.corpus.row_groups import RowGroup, read_row_group
from cpc_core.corpus.sample import open_corpus
from cpc_core.corpus.sources.detect import open_source
from cpc_core.errors import CorpusError, PathError, StorageError
from cpc_core.storage_path import StoragePath
from tests.helpers.recordings import noise, write_recording

OPTIONS = ImportOptions(clip_s=0.1)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for index in range(20):
        write_recording(tmp_path / "s" / f"class {index % 2}" / f"{index}.wav", noise(0.1, index))
    (tmp_path / "s" / "class 0" / "broken.wav").write_text("not audio")
    return tmp_path / "s"


def keys(bucket: str) -> list[str]:
    root = StoragePath.of(bucket)
    found = root.filesystem.get_file_info(FileSelector(root.path, recursive=True))
    return sorted(info.path.removeprefix("bucket/") for info in found if info.type == FileType.File)


@pytest.mark.parametrize("store", ["s3", "memory"])
def test_a_corpus_in_a_store_has_the_bytes_of_a_local_one(
    bucket: str, source: Path, tmp_path: Path, store: str
) -> None:
    uri = f"{bucket}/mine" if store == "s3" else f"memory://{tmp_path.name}/mine"
    import_folder(source, tmp_path / "c", OPTIONS)
    summary = import_folder(source, uri, OPTIONS)
    assert str(summary.corpus.folder) == uri
    local = {path.name: path.read_bytes() for path in (tmp_path / "c").iterdir()}
    place = StoragePath.of(uri)
    assert {name: (place / name).read_bytes() for name in place.file_sizes()} == local
    assert not place.sibling(".mine.importing").exists()


def test_a_corpus_in_a_store_is_read_as_a_local_one(
    bucket: str, source: Path, tmp_path: Path
) -> None:
    import_folder(source, tmp_path / "c", OPTIONS)
    import_folder(source, f"{bucket}/mine", OPTIONS)
    local, remote = Corpus.open(tmp_path / "c"), open_corpus(f"{bucket}/mine")
    assert remote.hash == local.hash
    assert torch.equal(remote.read_split("train").audio, local.read_split("train").audio)
    for ours, theirs in zip(
        batches_in_process(remote, 0, 4, 0, 9), batches_in_process(local, 0, 4, 0, 9), strict=True
    ):
        assert torch.equal(ours.clip_ids, theirs.clip_ids)
        assert torch.equal(ours.audio, theirs.audio)


def test_a_shard_that_vanished_from_a_store_is_named(bucket: str, source: Path) -> None:
    import_folder(source, f"{bucket}/mine", OPTIONS)
    corpus = Corpus.open(f"{bucket}/mine")
    (corpus.folder / "train-00000.parquet").remove()
    (read,) = ReadPlan(corpus.row_groups("train"), 0, 4).windows(0, 4)
    with pytest.raises(
        CorpusError,
        match=r"row group [01] of shard s3://bucket/mine/train-00000\.parquet cannot be read",
    ):
        read_window(read)
    with pytest.raises(
        CorpusError, match=r"shard s3://bucket/mine/train-00000\.parquet is missing"
    ):
        Corpus.open(f"{bucket}/mine")


@dataclass
class Faulty:
    """Calls a function after it failed as often as it is told, as a store does."""

    function: Callable[..., Any]
    faults: int
    calls: int = 0

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        if self.calls <= self.faults:
            raise OSError("503 Slow Down")
        return self.function(*args, **options)


@pytest.fixture
def stored(bucket: str, source: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    import_folder(source, f"{bucket}/mine", OPTIONS)
    monkeypatch.setattr(storage_path, "PAUSES_S", (0.0, 0.0))
    return f"{bucket}/mine"


@pytest.mark.parametrize("name", ["is_folder", "read_bytes", "file_sizes"])
def test_a_corpus_is_opened_although_its_store_failed_twice(
    stored: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    whole, faulty = Corpus.open(stored), Faulty(vars(StoragePath)[name], faults=2)

    def called(place: StoragePath) -> Any:
        return faulty(place)

    monkeypatch.setattr(StoragePath, name, called)
    assert Corpus.open(stored) == whole
    assert faulty.calls == 3


def test_a_row_group_is_read_although_its_store_failed_twice(
    stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Corpus.open(stored).row_groups("train")[0]
    whole = read_row_group(group, ["audio"])
    monkeypatch.setattr(pq, "ParquetFile", faulty := Faulty(pq.ParquetFile, faults=2))
    assert read_row_group(group, ["audio"]) == whole
    assert faulty.calls == 3


def test_a_store_that_fails_three_times_is_an_error(
    stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Corpus.open(stored).row_groups("train")[0]
    monkeypatch.setattr(pq, "ParquetFile", Faulty(pq.ParquetFile, faults=3))
    with pytest.raises(
        CorpusError,
        match=r"row group 0 of shard s3://bucket/mine/train-00000\.parquet cannot be read \(503 "
        r"Slow Down\)",
    ):
        read_row_group(group, ["audio"])


def test_missing_and_local_files_are_read_once(
    stored: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a store that failed is read again."""
    import_folder(source, tmp_path / "c", OPTIONS)
    local = Corpus.open(tmp_path / "c").row_groups("train")[0]
    monkeypatch.setattr(pq, "ParquetFile", faulty := Faulty(pq.ParquetFile, faults=1))
    with pytest.raises(CorpusError, match="503 Slow Down"):
        read_row_group(local, ["audio"])
    with pytest.raises(CorpusError, match=r"missing\.parquet cannot be read"):
        read_row_group(RowGroup(StoragePath.of(f"{stored}/missing.parquet"), 0, 1), ["audio"])
    assert faulty.calls == 2


def test_an_import_into_a_store_goes_on_after_an_interruption(bucket: str, source: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_source(open_source(source), f"{bucket}/mine", OPTIONS, on_progress=interrupt)
    assert all(key.startswith(".mine.importing/") for key in keys(bucket))
    with pytest.raises(CorpusError, match="there is no corpus folder s3://bucket/mine"):
        Corpus.open(f"{bucket}/mine")
    # The dev split was the last one; the shard of the other was finished.
    assert (
        import_folder(source, f"{bucket}/mine", OPTIONS).kept
        == Corpus.open(f"{bucket}/mine").rows("train") + 1
    )
    assert all(key.startswith("mine/") for key in keys(bucket))


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_import_interrupted_while_published_resumes(
    bucket: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    if overwrite:
        import_folder(source, f"{bucket}/mine", ImportOptions(clip_s=0.06))
    copies: list[StoragePath] = []
    copy_to = StoragePath.copy_to

    def killed_at_the_second(place: StoragePath, target: StoragePath) -> None:
        copies.append(target)
        if len(copies) == 2:
            raise KeyboardInterrupt
        copy_to(place, target)

    with monkeypatch.context() as patch:
        patch.setattr(StoragePath, "copy_to", killed_at_the_second)
        patch.setattr(workspace, "_COPIES", 1)
        with pytest.raises(KeyboardInterrupt):
            import_folder(source, f"{bucket}/mine", OPTIONS, overwrite=overwrite)
    assert "mine/train-00000.parquet" in keys(bucket)
    with pytest.raises(CorpusError, match="s3://bucket/mine is not a corpus"):
        Corpus.open(f"{bucket}/mine")

    assert import_folder(source, f"{bucket}/mine", OPTIONS, overwrite=overwrite).kept == 21
    assert all(key.startswith("mine/") for key in keys(bucket))
    import_folder(source, tmp_path / "c", OPTIONS)
    local = {path.name: path.read_bytes() for path in (tmp_path / "c").iterdir()}
    place = StoragePath.of(f"{bucket}/mine")
    assert {name: (place / name).read_bytes() for name in place.file_sizes()} == local
    with pytest.raises(CorpusError, match="s3://bucket/mine exists already"):
        import_folder(source, f"{bucket}/mine", OPTIONS)


def test_a_corpus_in_a_store_is_replaced_only_if_asked(bucket: str, source: Path) -> None:
    before = import_folder(source, f"{bucket}/mine", OPTIONS)
    with pytest.raises(CorpusError, match="s3://bucket/mine exists already"):
        import_folder(source, f"{bucket}/mine", OPTIONS)
    no_dev = ImportOptions(clip_s=0.06, dev_fraction=0.0)
    after = import_folder(source, f"{bucket}/mine", no_dev, overwrite=True)
    assert Corpus.open(f"{bucket}/mine").hash == after.corpus.hash != before.corpus.hash
    assert keys(bucket) == [
        f"mine/{name}"
        for name in ("manifest.json", "notes.csv", "rejected.csv", "train-00000.parquet")
    ]
    StoragePath.of(f"{bucket}/notes/a.txt").write_bytes(b"mine")
    with pytest.raises(CorpusError, match="is not a corpus, so it is not overwritten"):
        import_folder(source, f"{bucket}/notes", OPTIONS, overwrite=True)


@pytest.mark.parametrize("when", ["before its parts are made", "after"])
def test_two_imports_into_a_store_do_not_mix(bucket: str, source: Path, when: str) -> None:
    def overtaken(
        work: Workspace, names: Sequence[str], on_recordings: Callable[[int], None]
    ) -> None:
        if when == "after":
            in_this_process(work, names, on_recordings)
        with pytest.raises(KeyboardInterrupt):
            import_source(
                open_source(source),
                f"{bucket}/mine",
                ImportOptions(clip_s=0.08),
                run=to_the_end_of_its_parts,
            )
        if when != "after":
            in_this_process(work, names, on_recordings)

    def to_the_end_of_its_parts(
        work: Workspace, names: Sequence[str], on_recordings: Callable[[int], None]
    ) -> None:
        in_this_process(work, names, on_recordings)
        raise KeyboardInterrupt

    with pytest.raises(
        StorageError,
        match=r"the record of train-00000 in s3://bucket/\.mine\.importing is gone or was changed "
        r"by another",
    ):
        import_source(open_source(source), f"{bucket}/mine", OPTIONS, run=overtaken)
    assert all(key.startswith(".mine.importing/") for key in keys(bucket))
    import_folder(source, f"{bucket}/mine", OPTIONS)
    assert Corpus.open(f"{bucket}/mine").clip_samples == 1600


def test_a_bucket_that_is_not_there_is_one_sentence(bucket: str, source: Path) -> None:
    with pytest.raises(
        StorageError,
        match=r"the corpus s3://nowhere/mine cannot be written \(.*bucket does not exist",
    ):
        import_folder(source, "s3://nowhere/mine", OPTIONS)


def test_a_store_that_nobody_knows_is_one_sentence(source: Path) -> None:
    with pytest.raises(PathError, match="tape://reel is in no store that pyarrow or fsspec knows"):
        import_folder(source, "tape://reel/mine", OPTIONS)
