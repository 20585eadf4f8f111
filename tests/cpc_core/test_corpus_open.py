from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch

from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.importing.run import import_folder
from cpc_core.corpus.manifest import ImportOptions
from cpc_core.corpus.row_groups import RowGroup, read_row_group
from cpc_core.errors import CorpusError
from tests.helpers.recordings import noise, noise_corpus, write_labels, write_recording


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return noise_corpus(tmp_path, train=20, dev=5)


def test_an_opened_corpus_has_splits_rows_and_row_groups(corpus: Corpus) -> None:
    assert (corpus.splits, corpus.rows("train"), corpus.rows("dev"), corpus.rows("test")) == (
        ("train", "dev"),
        20,
        5,
        0,
    )
    assert corpus.clip_samples == 1600
    assert corpus.manifest.label_names == ("even", "odd")
    assert [
        (group.shard.name, group.index, group.rows) for group in corpus.row_groups("train")
    ] == [("train-00000.parquet", 0, 16), ("train-00000.parquet", 1, 4)]


def test_the_hash_names_the_content_and_not_the_place(corpus: Corpus, tmp_path: Path) -> None:
    Path(corpus.folder).rename(tmp_path / "moved")
    assert Corpus.open(tmp_path / "moved").hash == corpus.hash
    assert noise_corpus(tmp_path / "other", train=20, dev=4).hash != corpus.hash


def test_a_split_is_read_as_its_recordings(corpus: Corpus, tmp_path: Path) -> None:
    clips = corpus.read_split("train")
    assert clips.audio.shape == (20, 1600)
    assert clips.audio.dtype == torch.float32
    for audio, path, label, tags in zip(
        clips.audio, clips.paths, clips.labels, clips.tags, strict=True
    ):
        samples, _ = soundfile.read(tmp_path / "source" / path, dtype="float32")
        assert np.array_equal(audio.numpy(), samples)
        assert label == ("even" if int(Path(path).stem) % 2 == 0 else "odd")
        assert tags == (label,)
    assert clips.groups == clips.paths
    assert (
        clips.clip_ids.tolist()
        == pq.read_table(corpus.folder / "train-00000.parquet")["clip_id"].to_pylist()
    )


def test_short_clips_are_drawn_after_all_others(tmp_path: Path) -> None:
    for index in range(12):
        write_recording(
            tmp_path / "src" / "a" / f"{index}.wav", noise(0.1 if index % 3 else 0.5, index)
        )
    options = ImportOptions(clip_s=0.5, dev_fraction=0)
    import_folder(tmp_path / "src", tmp_path / "corpus", options)
    corpus = Corpus.open(tmp_path / "corpus")
    assert corpus.draw_clips("train", 4, shortest=8000).num_samples.tolist() == [8000] * 4
    drawn = corpus.draw_clips("train", 12, shortest=8000).num_samples.tolist()
    assert drawn == [8000] * 4 + [1600] * 8
    assert corpus.draw_clips("train", 12).num_samples.tolist() != drawn


@pytest.mark.parametrize("count", [1, 16, 18, 99])
def test_drawn_clips_are_clips_of_the_split(corpus: Corpus, count: int) -> None:
    whole, drawn = corpus.read_split("train"), corpus.draw_clips("train", count)
    assert len(drawn) == min(count, 20)
    assert torch.equal(drawn.clip_ids, corpus.draw_clips("train", 99).clip_ids[:count])
    place = {clip_id: row for row, clip_id in enumerate(whole.clip_ids.tolist())}
    rows = [place[clip_id] for clip_id in drawn.clip_ids.tolist()]
    assert len(set(rows)) == len(rows)
    assert count == 1 or rows != sorted(rows)
    assert torch.equal(drawn.audio, whole.audio[rows])
    for name in ("labels", "tags", "groups", "paths"):
        assert getattr(drawn, name) == tuple(getattr(whole, name)[row] for row in rows)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Forty recordings of thirty clips each, in the order of the recordings."""
    root = tmp_path_factory.mktemp("pieces")
    write_labels(
        root / "source",
        [{"path": f"{index}.wav", "label": "x", "split": "dev"} for index in range(40)],
    )
    for index in range(40):
        write_recording(root / "source" / f"{index}.wav", noise(3.0, index), subtype="PCM_16")
    return import_folder(root / "source", root / "corpus", ImportOptions(clip_s=0.1)).corpus


def share_of_own_recording(groups: tuple[str, ...], pool: int = 8) -> float:
    """Share of the other clips of a pool that are of the same recording."""
    pools = [groups[first : first + pool] for first in range(0, len(groups), pool)]
    pairs = [a == b for own in pools for a, b in permutations(own, 2)]
    return sum(pairs) / len(pairs)


def test_drawn_clips_are_no_neighbours(pieces: Corpus) -> None:
    """By chance 29 of the 1199 others are of the same recording, 2.4 %; a training step's clips,
    from sixteen row groups of sixteen, have 6 %.
    """
    assert share_of_own_recording(pieces.read_split("dev").groups[:256]) > 0.7
    assert share_of_own_recording(pieces.draw_clips("dev", 256).groups) < 0.09
    assert share_of_own_recording(pieces.draw_clips("dev", 9999).groups) == pytest.approx(
        29 / 1199, abs=0.01
    )


def test_few_clips_are_drawn_from_few_row_groups(
    pieces: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[RowGroup] = []

    def counting(group: RowGroup, columns: list[str]) -> pa.Table:
        if "audio" in columns:
            read.append(group)
        return read_row_group(group, columns)

    monkeypatch.setattr("cpc_core.corpus.corpus.read_row_group", counting)
    assert len(pieces.row_groups("dev")) == 75
    pieces.draw_clips("dev", 100)
    assert len(read) == len(set(read)) == 16


def test_a_stream_is_the_split_a_row_group_at_a_time(corpus: Corpus) -> None:
    whole, parts = corpus.read_split("train"), list(corpus.stream_split("train"))
    assert [len(part) for part in parts] == [16, 4]
    assert torch.equal(torch.cat([part.audio for part in parts]), whole.audio)
    assert torch.equal(torch.cat([part.clip_ids for part in parts]), whole.clip_ids)
    for name in ("labels", "tags", "groups", "paths"):
        assert sum((getattr(part, name) for part in parts), ()) == getattr(whole, name)
    with pytest.raises(CorpusError, match="has no test clips"):
        next(corpus.stream_split("test"))


def test_targets_mark_the_labels_of_each_clip(corpus: Corpus) -> None:
    clips = corpus.read_split("dev")
    assert clips.multi_hot().tolist() == [
        [1.0, 0.0] if label == "even" else [0.0, 1.0] for label in clips.labels
    ]


def test_a_split_that_is_not_there_is_named(corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match="has no test clips, only train, dev: name another split"):
        corpus.read_split("test")


def test_a_missing_folder_and_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(
        CorpusError, match=r"there is no corpus folder .*: make one with `cpc data import"
    ):
        Corpus.open(tmp_path / "missing")
    with pytest.raises(CorpusError, match=r"is not a corpus, it has no manifest\.json"):
        Corpus.open(tmp_path)


def edit_manifest(corpus: Corpus, **changes: object) -> None:
    path = Path(corpus.folder) / "manifest.json"
    content = json.loads(path.read_text()) | changes
    del content["sha256"]  # An older manifest has none.
    path.write_text(json.dumps(content))


def test_another_schema_is_named(corpus: Corpus) -> None:
    edit_manifest(corpus, schema_version=99)
    with pytest.raises(
        CorpusError, match="has schema 99, this version reads schema 2: import the corpus again"
    ):
        Corpus.open(corpus.folder)


def test_another_schema_with_other_fields_is_named_too(corpus: Corpus) -> None:
    edit_manifest(corpus, schema_version=99, channels=2)
    with pytest.raises(
        CorpusError, match="has schema 99, this version reads schema 2: import the corpus again"
    ):
        Corpus.open(corpus.folder)


@pytest.mark.parametrize("text", ["{}", "[]", "not json"])
def test_a_damaged_manifest_is_one_sentence(corpus: Corpus, text: str) -> None:
    (Path(corpus.folder) / "manifest.json").write_text(text)
    with pytest.raises(CorpusError, match=r"manifest\.json .*: import the corpus again"):
        Corpus.open(corpus.folder)


def test_an_empty_corpus_is_named(corpus: Corpus) -> None:
    edit_manifest(corpus, rows={}, shards=[])
    with pytest.raises(CorpusError, match="holds no clips"):
        Corpus.open(corpus.folder)


def test_a_missing_and_a_cut_shard_are_named(corpus: Corpus) -> None:
    shard = Path(corpus.folder) / "dev-00000.parquet"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    with pytest.raises(
        CorpusError,
        match=f"dev-00000.parquet has {len(content) - 1} bytes "
        f"where the manifest says {len(content)}",
    ):
        Corpus.open(corpus.folder)
    shard.unlink()
    with pytest.raises(CorpusError, match=r"dev-00000\.parquet is missing"):
        Corpus.open(corpus.folder)
