"""Files of features against the encoder itself on each recording alone."""

from __future__ import annotations

import csv
import gc
import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray

from cpc_core import load
from cpc_core.audio import read_audio, reading
from cpc_core.corpus.corpus import Corpus
from cpc_core.embed import part_embedding, parts, run, table
from cpc_core.embed.options import EmbedOptions
from cpc_core.embed.pooling import RunningPool
from cpc_core.embed.run import EmbedSummary, embed_source
from cpc_core.embed.sources import open_recordings
from cpc_core.embed.table import FeatureWriter, features_schema
from cpc_core.errors import ConfigError, CorpusError, TableError
from cpc_core.evaluation.features import pooled
from cpc_core.export import encoder as encoder_module
from cpc_core.export.encoder import Embedding, Encoder
from cpc_core.storage_path import StoragePath
from tests.helpers.exports import export
from tests.helpers.recordings import listed, noise, noise_corpus, write_labels, write_recording

CLOSE = 3e-6


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load(export(tmp_path_factory.mktemp("export")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of other lengths, rates and channels, one of which is long and one short."""
    root = tmp_path_factory.mktemp("recordings")
    for index, (seconds, rate, channels) in enumerate(
        [(1.0, 16_000, 1), (0.3, 44_100, 2), (2.6, 8_000, 1), (0.02, 16_000, 1), (0.7, 48_000, 3)]
    ):
        samples = np.stack([noise(seconds, 9 * index + each, rate) for each in range(channels)], 1)
        write_recording(root / "class" / f"{index}.wav", samples, rate)
    return root


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long recordings of seconds, in several blocks and pieces, and several parts of a source."""
    monkeypatch.setattr(reading, "BLOCK_S", 1)
    monkeypatch.setattr(parts, "PART_S", 1.5)
    monkeypatch.setattr(encoder_module, "PIECE_FRAMES", 40)
    for module in (encoder_module, part_embedding):
        monkeypatch.setattr(module, "BATCH_SAMPLES", 20_000)


def embedded(
    encoder: Encoder, source: str | Path, out: Path, options: EmbedOptions | None = None
) -> EmbedSummary:
    return embed_source(
        encoder, "e" * 64, open_recordings(str(source)), out, options or EmbedOptions()
    )


def vectors(path: Path) -> NDArray[np.float32]:
    column = pq.read_table(path)["embedding"].combine_chunks()
    found: NDArray[np.float32] = column.flatten().to_numpy().reshape(len(column), -1)
    return found


def alone(encoder: Encoder, path: Path, layer: str = "contexts") -> Embedding:
    found: Embedding = encoder(read_audio(path).samples, layer=layer)
    return found


def rows(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


@pytest.mark.parametrize("pooling", ["mean", "mean_std"])
@pytest.mark.parametrize("layer", ["contexts", "latents", "encoder.0", "context.3"])
def test_a_recording_is_what_it_is_alone(
    encoder: Encoder, folder: Path, tmp_path: Path, pooling: Any, layer: str
) -> None:
    summary = embedded(encoder, folder, tmp_path / "f.parquet", EmbedOptions(layer, pooling))
    assert summary.metadata["embedded"] == 5
    for row in rows(tmp_path / "f.parquet"):
        out = alone(encoder, folder / row["path"], layer)
        wanted = out.mean() if pooling == "mean" else out.mean_std()
        assert np.allclose(row["embedding"], wanted[0], atol=CLOSE)
        assert row["layer"] == layer and row["frame_s"] is None
        assert (row["labels"], row["label"], row["split"]) == (["class"], "class", None)
    assert len(list((tmp_path).iterdir())) == 2  # features and notes; no workspace


@pytest.mark.parametrize("layer", ["contexts", "encoder.2"])
def test_frames_are_rows_with_their_times(
    encoder: Encoder, folder: Path, tmp_path: Path, layer: str
) -> None:
    out = tmp_path / "f.parquet"
    embedded(encoder, folder, out, EmbedOptions(layer, pooling=None))
    found, features = pq.read_table(out), vectors(out)
    begin = 0
    for path in sorted((folder / "class").iterdir()):
        wanted = alone(encoder, path, layer)
        own = slice(begin, begin + wanted.lengths[0])
        assert set(found["path"][own].to_pylist()) == {f"class/{path.name}"}
        assert len(set(found["clip_id"][own].to_pylist())) == 1
        assert np.allclose(features[own], wanted.frames[0], atol=CLOSE)
        assert np.allclose(found["frame_s"][own], wanted.times[0], atol=1e-6)
        begin = own.stop
    assert begin == len(found)
    spans = found["end_s"].to_numpy() - found["start_s"].to_numpy()
    assert np.allclose(spans, encoder.frame_s(layer))


def test_windows_are_embedded_as_if_alone(encoder: Encoder, folder: Path, tmp_path: Path) -> None:
    embedded(encoder, folder, tmp_path / "f.parquet", EmbedOptions(window_s=0.4))
    found = rows(tmp_path / "f.parquet")
    for row in found:
        samples = read_audio(folder / row["path"]).samples
        own = samples[round(row["start_s"] * 16_000) : round(row["end_s"] * 16_000)]
        assert np.allclose(row["embedding"], encoder(own).mean()[0], atol=CLOSE)
    spans = np.array([(row["start_s"], row["end_s"]) for row in found if "2.wav" in row["path"]])
    edges = np.array([*np.arange(7) * 0.4, 2.6])
    assert np.allclose(spans, np.stack((edges[:-1], edges[1:]), 1))
    assert len({row["clip_id"] for row in found}) == len(found)


def test_a_corpus_keeps_what_describes_its_clips(encoder: Encoder, tmp_path: Path) -> None:
    corpus = noise_corpus(tmp_path, 40, 9, clip_s=0.2, own_s=(0.2, 0.13, 0.06))
    summary = embedded(encoder, str(corpus.folder), tmp_path / "f.parquet")
    found = rows(tmp_path / "f.parquet")
    for split in corpus.splits:
        clips = corpus.read_split(split)
        own = [row for row in found if row["split"] == split]
        assert [row["clip_id"] for row in own] == clips.clip_ids.tolist()
        assert [row["path"] for row in own] == list(clips.paths)
        assert [row["label"] for row in own] == list(clips.labels)
        for row, audio, count in zip(own, clips.audio, clips.num_samples.tolist(), strict=True):
            assert row["end_s"] == count / 16_000
            assert np.allclose(row["embedding"], encoder(audio[:count]).mean()[0], atol=CLOSE)
    told = json.loads(pq.read_schema(tmp_path / "f.parquet").metadata[b"cpc"])
    assert told == summary.metadata
    assert (told["corpus"], told["export"], told["embedded"]) == (corpus.hash, "e" * 64, 49)
    assert pq.read_schema(tmp_path / "f.parquet").field("embedding").type == pa.list_(
        pa.field("element", pa.float32(), False), 16
    )


def test_a_clip_has_the_id_that_an_import_gives_it(encoder: Encoder, tmp_path: Path) -> None:
    corpus = noise_corpus(tmp_path, 4, 2, clip_s=0.2)
    embedded(encoder, tmp_path / "source", tmp_path / "f.parquet")
    found = {row["path"]: row["clip_id"] for row in rows(tmp_path / "f.parquet")}
    for split in corpus.splits:
        clips = corpus.read_split(split)
        for path, clip_id in zip(clips.paths, clips.clip_ids.tolist(), strict=True):
            assert found[path] == clip_id


def test_every_recording_is_embedded_or_named(encoder: Encoder, tmp_path: Path) -> None:
    write_recording(tmp_path / "a" / "whole.wav", noise(0.4))
    broken = noise(2.5)
    broken[int(1.5 * 16_000)] = np.nan
    write_recording(tmp_path / "a" / "partly.wav", broken)
    write_recording(tmp_path / "a" / "none.wav", np.full(800, np.nan, np.float32))
    (tmp_path / "a" / "text.wav").write_text("no audio")
    write_recording(tmp_path / "a" / "short.wav", noise(0.01))
    (tmp_path / "a" / "gone.wav").symlink_to("nowhere.wav")
    summary = embedded(encoder, tmp_path / "a", tmp_path / "f.parquet")
    told = summary.metadata
    assert (told["recordings"], told["embedded"], told["rejected"]) == (6, 3, 3)
    assert {row["path"] for row in rows(tmp_path / "f.parquet")} == {
        "whole.wav", "partly.wav", "short.wav",
    }  # fmt: skip
    notes = {note["path"]: note for note in listed(tmp_path / "f.notes.csv")}
    assert {path for path, note in notes.items() if note["outcome"] == "rejected"} == {
        "none.wav", "text.wav", "gone.wav",
    }  # fmt: skip
    assert notes["partly.wav"]["note"].startswith("used only up to 1 s: has samples that are not")
    assert "zeros were added" in notes["short.wav"]["note"]
    assert str(tmp_path) not in (tmp_path / "f.notes.csv").read_text()
    (end_s,) = (row["end_s"] for row in rows(tmp_path / "f.parquet") if "partly" in row["path"])
    assert end_s == 1


def test_nothing_to_embed_is_an_error(encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "text.wav").write_text("no audio")
    with pytest.raises(CorpusError, match=r"none of the 1 recordings .* text\.wav: cannot be dec"):
        embedded(encoder, tmp_path / "a", tmp_path / "f.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("ended_after_s", [0.5, 2.0, 4.0])
def test_an_interrupted_embedding_goes_on(
    encoder: Encoder, folder: Path, tmp_path: Path, ended_after_s: float
) -> None:
    """With the parts that were finished, to the bytes of an uninterrupted one."""
    whole, resumed = tmp_path / "whole.parquet", tmp_path / "resumed.parquet"
    embedded(encoder, folder, whole)

    def stop(done_s: float, total_s: float) -> None:
        if done_s >= ended_after_s:
            raise KeyboardInterrupt

    source = open_recordings(str(folder))
    with pytest.raises(KeyboardInterrupt):
        embed_source(encoder, "e" * 64, source, resumed, EmbedOptions(), on_progress=stop)
    assert not resumed.exists()
    workspace = tmp_path / ".resumed.parquet.embedding"
    before = {path: path.stat().st_mtime_ns for path in workspace.glob("*.parquet")}
    done: list[tuple[float, float]] = []
    summary = embed_source(
        encoder, "e" * 64, source, resumed, EmbedOptions(), on_progress=lambda *s: done.append(s)
    )
    assert summary.kept_s == pytest.approx(done[0][0])
    assert (summary.kept_s > 0) == bool(before)
    assert done[-1][0] == pytest.approx(done[-1][1]) == pytest.approx(4.62)
    assert resumed.read_bytes() == whole.read_bytes()
    assert (tmp_path / "resumed.notes.csv").read_text() == (
        tmp_path / "whole.notes.csv"
    ).read_text()
    assert not workspace.exists()


def test_parts_of_other_settings_are_not_used(
    encoder: Encoder, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, source = tmp_path / "f.parquet", open_recordings(str(folder))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run, "_join", Mock(side_effect=KeyboardInterrupt))
        embedded(encoder, folder, out)
    latents = EmbedOptions("latents")
    assert embed_source(encoder, "e" * 64, source, out, latents).kept_s == 0
    assert vectors(out).shape == (5, 8)


def test_only_features_are_replaced(encoder: Encoder, folder: Path, tmp_path: Path) -> None:
    source, options = open_recordings(str(folder)), EmbedOptions()
    out = tmp_path / "f.parquet"
    embedded(encoder, folder, out)
    with pytest.raises(ConfigError, match="exists already"):
        embedded(encoder, folder, out)
    embed_source(encoder, "e" * 64, source, out, EmbedOptions("latents"), overwrite=True)
    assert vectors(out).shape == (5, 8)
    (tmp_path / "other.parquet").write_bytes(b"precious")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "table.parquet")
    (tmp_path / "link.parquet").symlink_to(out)
    (tmp_path / "folder").mkdir()
    for name in ("other.parquet", "table.parquet", "link.parquet", "folder"):
        before = (tmp_path / name).read_bytes() if name != "folder" else b""
        with pytest.raises(ConfigError, match="is no file of features"):
            embed_source(encoder, "e" * 64, source, tmp_path / name, options, overwrite=True)
        assert name == "folder" or (tmp_path / name).read_bytes() == before


def test_features_go_to_a_store(encoder: Encoder, folder: Path, tmp_path: Path) -> None:
    embedded(encoder, folder, tmp_path / "f.parquet")
    uri = f"memory://{tmp_path.name}/f.parquet"
    summary = embed_source(encoder, "e" * 64, open_recordings(str(folder)), uri, EmbedOptions())
    assert summary.notes is not None
    assert summary.notes.read_bytes() == (tmp_path / "f.notes.csv").read_bytes()
    assert summary.notes.sibling("f.parquet").read_bytes() == (tmp_path / "f.parquet").read_bytes()
    assert set(summary.notes.sibling("x").walk_files()) == set()


def test_lists_of_recordings(encoder: Encoder, folder: Path, tmp_path: Path) -> None:
    absolute = folder / "class" / "0.wav"
    write_recording(tmp_path / "near.wav", noise(0.2))
    (tmp_path / "list.txt").write_text(f"{absolute}\n\nnear.wav\n")
    with (tmp_path / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["ID", "Path"], ["1", str(absolute)], ["2", "near.wav"]])
    for name in ("list.txt", "list.csv"):
        embedded(encoder, tmp_path / name, tmp_path / f"{name}.parquet")
        assert [row["path"] for row in rows(tmp_path / f"{name}.parquet")] == [
            str(absolute),
            "near.wav",
        ]
    embedded(encoder, tmp_path / "near.wav", tmp_path / "one.parquet")
    assert np.array_equal(
        vectors(tmp_path / "one.parquet")[0], vectors(tmp_path / "list.csv.parquet")[1]
    )


def test_a_table_of_labels_keeps_parts_and_folds(encoder: Encoder, tmp_path: Path) -> None:
    write_recording(tmp_path / "t" / "a.wav", noise(2.0))
    columns = ("path", "label", "tags", "split", "fold", "start_s", "end_s")
    values = [
        ("a.wav", "x", "x|y", "train", "1", "0", "0.5"),
        ("a.wav", "z", "z", "test", "2", "1.25", ""),
    ]
    write_labels(tmp_path / "t", [dict(zip(columns, row, strict=True)) for row in values])
    embedded(encoder, tmp_path / "t", tmp_path / "f.parquet")
    first, second = rows(tmp_path / "f.parquet")
    assert (first["labels"], first["fold"], first["end_s"]) == (["x", "y"], "1", 0.5)
    assert (second["split"], second["start_s"], second["end_s"]) == ("test", 1.25, 2.0)
    assert second["task"] is None
    wanted = encoder(read_audio(tmp_path / "t" / "a.wav", start_s=1.25).samples).mean()[0]
    assert np.allclose(second["embedding"], wanted, atol=CLOSE)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.txt", "\n\n", "lists no recordings"),
        ("empty.csv", "path\n", "lists no recordings"),
        ("other.csv", "file\na.wav\n", "has no column path"),
        ("bytes.txt", b"\xff\xfe\x00", "cannot be read as a list"),
    ],
)
def test_a_list_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TableError, match=said):
        open_recordings(str(tmp_path / name))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (EmbedOptions("context.12"), "has no layer context.12: use latents, contexts, or one of"),
        (EmbedOptions(window_s=0.01), "a window of 0.01 s cannot be embedded"),
        (EmbedOptions(window_s=float("nan")), "a window of nan s"),
        (EmbedOptions(pooling=None, window_s=1.0), "drop --window-s or --frames"),
    ],
)
def test_settings_are_checked_first(
    encoder: Encoder, folder: Path, tmp_path: Path, options: EmbedOptions, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        embedded(encoder, folder, tmp_path / "f.parquet", options)
    assert list(tmp_path.iterdir()) == []


def test_a_norm_over_time_embeds_long_recordings_whole(tmp_path: Path) -> None:
    encoder = load(export(tmp_path / "export", norm="channels_and_time"))
    write_recording(tmp_path / "a.wav", noise(3.2))
    embedded(encoder, tmp_path / "a.wav", tmp_path / "f.parquet")
    wanted = alone(encoder, tmp_path / "a.wav").mean()[0]
    assert np.allclose(vectors(tmp_path / "f.parquet")[0], wanted, atol=CLOSE)


def test_row_groups_are_full(
    encoder: Encoder, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "ROW_GROUP_BYTES", 50 * 16 * 4)
    embedded(encoder, folder, tmp_path / "f.parquet", EmbedOptions(pooling=None))
    found = pq.read_metadata(tmp_path / "f.parquet")
    sizes = [found.row_group(place).num_rows for place in range(found.num_row_groups)]
    assert sizes[:-1] == [50] * (len(sizes) - 1) and len(sizes) > 3


@pytest.mark.parametrize("place", ["{}/f.parquet", "memory://broken{}/f.parquet"])
def test_a_file_that_cannot_be_finished_is_none(tmp_path: Path, place: str) -> None:
    """Its last rows are written when the block ends."""
    path = StoragePath.of(place.format(tmp_path))
    with pytest.raises(ValueError, match="schema"), FeatureWriter(path, features_schema(4)) as file:
        file.add(pa.table({"a": [1]}))
    gc.collect()  # A writer that was not closed complains when it is collected.
    assert not path.exists()


@pytest.mark.parametrize("pooling", ["mean", "mean_std"])
def test_pooling_in_blocks_is_pooling_of_the_whole(pooling: Any) -> None:
    frames = torch.randn(1, 700, 5, generator=torch.Generator().manual_seed(0)) * 3 + 50
    pool = RunningPool(pooling)
    for block in frames[0].split([1, 300, 2, 397]):
        pool.add(block)
    wanted = pooled(frames.double(), None, pooling)[0].float()
    assert torch.allclose(pool.vector(), wanted, atol=CLOSE)


def test_parts_of_a_corpus_are_all_of_it(tmp_path: Path) -> None:
    corpus: Corpus = noise_corpus(tmp_path, 50, 20, clip_s=0.06)
    found = parts.corpus_parts(corpus)
    groups = [group for part in found for group in part.row_groups]
    assert groups == [group for split in corpus.splits for group in corpus.row_groups(split)]
    assert sum(part.seconds for part in found) == pytest.approx(70 * 0.06)
    assert [part.number for part in found] == list(range(len(found)))
