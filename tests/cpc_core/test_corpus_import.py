from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from pydantic import ValidationError

from cpc_core.audio import reading
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.importing import parts
from cpc_core.corpus.importing.run import ImportSummary, import_folder, import_source
from cpc_core.corpus.manifest import CLIP_SCHEMA, ImportOptions, Totals
from cpc_core.corpus.sources.detect import open_source
from cpc_core.errors import CorpusError
from cpc_core.storage_path import StoragePath
from tests.helpers.recordings import (
    awkward_recordings,
    listed,
    noise,
    write_labels,
    write_recording,
)

SHORT = ImportOptions(clip_s=0.5)


def rows_of(corpus: Path | StoragePath) -> list[dict[str, object]]:
    return [
        row
        for shard in sorted(Path(corpus).glob("*.parquet"))
        for row in pq.read_table(shard).to_pylist()
    ]


def one_recording(
    tmp_path: Path, seconds: float, options: ImportOptions
) -> list[dict[str, object]]:
    write_recording(tmp_path / "source" / "hum" / "a.wav", noise(seconds), subtype="PCM_16")
    import_folder(tmp_path / "source", tmp_path / "corpus", options)
    return rows_of(tmp_path / "corpus")


def pcm(row: dict[str, object]) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    assert isinstance(row["audio"], bytes)
    return np.frombuffer(row["audio"], "<i2")


def test_a_row_has_the_recording_and_its_row_of_labels_csv(tmp_path: Path) -> None:
    write_recording(tmp_path / "s" / "x" / "a.wav", noise(0.5), subtype="PCM_16")
    label = {
        "path": "x/a.wav",
        "label": "kick",
        "tags": "music|drum",
        "split": "test",
        "group": "kit 1",
        "source": "a shelf",
        "fold": "2",
        "task": "drums",
        "target": "36",
    }
    write_labels(tmp_path / "s", [label | {"license": "CC0-1.0", "unknown": "ignored"}])
    summary = import_folder(tmp_path / "s", tmp_path / "c", SHORT)
    (row,) = rows_of(tmp_path / "c")
    assert np.abs(pcm(row) - noise(0.5) * 32768).max() <= 1
    assert {name: row[name] for name in CLIP_SCHEMA.names if name not in ("audio", "clip_id")} == {
        "num_samples": 8_000,
        "sample_rate_hz": 16_000,
        "labels": ["drum", "kick", "music"],
        "label": "kick",
        "split": "test",
        "group": "kit 1",
        "path": "x/a.wav",
        "source": "a shelf",
        "license": "CC0-1.0",
        "start_s": 0.0,
        "fold": "2",
        "task": "drums",
        "target": "36",
    }
    assert summary == ImportSummary(
        Corpus.open(tmp_path / "c"),
        kept=0,
        divided_groups=0,
        remarks=("no training clips came out: the corpus can be probed, not trained on",),
    )
    assert summary.corpus.manifest.totals == Totals(recordings=1, rejected=0, noted=0, audio_s=0.5)
    assert summary.corpus.manifest.rows == {"test": 1}


def test_int16_recordings_are_stored_bit_for_bit(tmp_path: Path) -> None:
    levels = np.arange(-4000, 4000, dtype=np.int16)
    levels[:2] = (-32768, 32767)
    write_recording(
        tmp_path / "s" / "hum" / "a.wav",
        (levels / np.float32(32768)).astype(np.float32),
        subtype="PCM_16",
    )
    import_folder(tmp_path / "s", tmp_path / "c", SHORT)
    assert np.array_equal(pcm(rows_of(tmp_path / "c")[0]), levels)


def test_samples_beyond_full_scale_are_stored_as_full_scale(tmp_path: Path) -> None:
    write_recording(
        tmp_path / "s" / "hum" / "a.wav", np.tile(np.array([2, -3, 0.5, -0.5], np.float32), 2000)
    )
    import_folder(tmp_path / "s", tmp_path / "c", SHORT)
    assert pcm(rows_of(tmp_path / "c")[0])[:4].tolist() == [32767, -32768, 16384, -16384]


def test_class_folders_are_labels_where_there_is_no_labels_csv(tmp_path: Path) -> None:
    for name in (
        "dog/deep/a.wav",
        "cat/b.WAV",
        "top.wav",
        ".hidden/c.wav",
        "cat/._b.wav",
        "cat/notes.txt",
    ):
        write_recording(tmp_path / "s" / name, noise(0.5, len(name)))
    import_folder(tmp_path / "s", tmp_path / "c", SHORT)
    assert {(row["path"], row["label"]) for row in rows_of(tmp_path / "c")} == {
        ("dog/deep/a.wav", "dog"),
        ("cat/b.WAV", "cat"),
        ("top.wav", ""),
    }
    assert Corpus.open(tmp_path / "c").manifest.label_names == ("cat", "dog")


def test_a_long_recording_is_split_into_consecutive_clips(tmp_path: Path) -> None:
    rows = one_recording(tmp_path, 1.75, SHORT)
    assert [(row["start_s"], row["num_samples"]) for row in rows] == [
        (0.0, 8000),
        (0.5, 8000),
        (1.0, 8000),
        (1.5, 4000),
    ]
    joined = np.concatenate([pcm(row)[: int(str(row["num_samples"]))] for row in rows])
    assert np.abs(joined - noise(1.75) * 32768).max() <= 1
    assert len({row["clip_id"] for row in rows}) == 4


def test_splitting_does_not_depend_on_decoding_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = one_recording(tmp_path / "whole", 3.3, SHORT)
    monkeypatch.setattr(reading, "BLOCK_S", 1)
    assert one_recording(tmp_path / "blocks", 3.3, SHORT) == whole


def test_crop_keeps_the_beginning(tmp_path: Path) -> None:
    (row,) = one_recording(tmp_path, 1.75, ImportOptions(clip_s=0.5, long_files="crop"))
    assert (row["start_s"], row["num_samples"]) == (0.0, 8000)


def test_a_rest_below_a_tenth_of_a_clip_is_left_out_and_counted(tmp_path: Path) -> None:
    """A decoder's padding is no clip. A recording of that length is one."""
    for index, seconds in enumerate((2.06, 2.19, 2.2, 0.06)):
        write_recording(tmp_path / "s" / "x" / f"{index}.wav", noise(seconds, index))
    summary = import_folder(tmp_path / "s", tmp_path / "c", ImportOptions(clip_s=2.0))
    clips = {(row["path"], row["num_samples"]) for row in rows_of(tmp_path / "c")}
    assert clips == {
        ("x/0.wav", 32_000),
        ("x/1.wav", 32_000),
        ("x/2.wav", 32_000),
        ("x/2.wav", 3_200),
        ("x/3.wav", 960),
    }
    assert summary.corpus.manifest.totals.left_out_s == pytest.approx(0.25)
    kept = ImportOptions(clip_s=2.0, shortest_s=0.06)
    summary = import_folder(tmp_path / "s", tmp_path / "kept", kept)
    assert sum(summary.corpus.manifest.rows.values()) == 7
    assert "left_out_s" not in summary.corpus.manifest.totals.model_dump()


def test_a_rest_too_short_to_use_is_dropped(tmp_path: Path) -> None:
    assert [row["num_samples"] for row in one_recording(tmp_path, 0.54, SHORT)] == [8000]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip_s": 0.01}, "clip_s"),
        ({"clip_s": 0.5, "shortest_s": 0.6}, "shortest_s 0.6 exceeds clip_s 0.5"),
        ({"lenght": 1}, "lenght"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ImportOptions.model_validate(options)


def test_a_short_recording_is_filled_with_silence(tmp_path: Path) -> None:
    (row,) = one_recording(tmp_path, 0.2, SHORT)
    assert row["num_samples"] == 3200
    assert pcm(row)[:3200].any()
    assert not pcm(row)[3200:].any()


@pytest.mark.parametrize(("padding", "own"), [("repeat", 8000), ("loop", 3200)])
def test_repetition_counts_as_audio_if_it_is_asked_for(
    padding: str, own: int, tmp_path: Path
) -> None:
    """Older corpora have it as padding."""
    options = ImportOptions.model_validate({"clip_s": 0.5, "padding": padding})
    (row,) = one_recording(tmp_path, 0.2, options)
    assert row["num_samples"] == own
    assert np.array_equal(pcm(row), np.concatenate([pcm(row)[:3200]] * 3)[:8000])


def test_parts_of_a_recording_are_clips_of_their_own(tmp_path: Path) -> None:
    write_recording(tmp_path / "s" / "a.wav", noise(2.0), subtype="PCM_16")
    parts = [
        {"path": "a.wav", "label": "x", "start_s": "0.25", "end_s": "1.0"},
        {"path": "a.wav", "label": "y", "start_s": "1.5", "end_s": ""},
    ]
    write_labels(tmp_path / "s", parts)
    import_folder(tmp_path / "s", tmp_path / "c", SHORT)
    rows = {float(str(row["start_s"])): row for row in rows_of(tmp_path / "c")}
    assert {start: (row["label"], row["num_samples"]) for start, row in rows.items()} == {
        0.25: ("x", 8000),
        0.75: ("x", 4000),
        1.5: ("y", 8000),
    }
    assert np.abs(pcm(rows[1.5]) - noise(2.0)[24_000:] * 32768).max() <= 1


def test_the_bytes_do_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    rows = [{"path": f"{index}.wav", "label": "x"} for index in range(40)]
    for index, row in enumerate(rows):
        write_recording(tmp_path / "s" / row["path"], noise(0.5, index))
    hashes = []
    for name, order in {"a": rows, "b": rows, "c": rows[::-1]}.items():
        write_labels(tmp_path / "s", order)
        import_folder(tmp_path / "s", tmp_path / name, SHORT)
        hashes.append(Corpus.open(tmp_path / name).hash)
    assert len(set(hashes)) == 1
    assert (
        import_folder(tmp_path / "s", tmp_path / "d", ImportOptions(clip_s=0.25)).corpus.hash
        != hashes[0]
    )


def test_the_name_of_the_source_folder_is_not_part_of_the_hash(tmp_path: Path) -> None:
    write_recording(tmp_path / "mine" / "x" / "a.wav", noise(0.5))
    shutil.copytree(
        tmp_path / "mine", tmp_path / "yours"
    )  # writing it again may write another second into its header
    summaries = [
        import_folder(tmp_path / name, tmp_path / f"{name} imported", SHORT)
        for name in ("mine", "yours")
    ]
    assert summaries[0].corpus.hash == summaries[1].corpus.hash
    assert [summary.corpus.name for summary in summaries] == ["mine", "yours"]


def test_a_changed_recording_changes_its_own_clip_id(tmp_path: Path) -> None:
    """The hash of the corpus changes as well; no other clip does."""
    for index in range(3):
        write_recording(tmp_path / "s" / "x" / f"{index}.wav", noise(0.5, index))
    before = import_folder(tmp_path / "s", tmp_path / "a", SHORT)
    write_recording(tmp_path / "s" / "x" / "1.wav", noise(0.5, 99))
    after = import_folder(tmp_path / "s", tmp_path / "b", SHORT)
    assert before.corpus.hash != after.corpus.hash
    ids = [
        {str(row["path"]): row["clip_id"] for row in rows_of(summary.corpus.folder)}
        for summary in (before, after)
    ]
    assert {path for path, clip_id in ids[0].items() if ids[1][path] != clip_id} == {"x/1.wav"}


def test_a_drawn_split_takes_whole_groups(tmp_path: Path) -> None:
    """The groups held out are about the fraction that was requested."""
    rows = [
        {"path": f"{index}.wav", "label": "x", "group": f"speaker {index // 4}"}
        for index in range(80)
    ]
    for index, row in enumerate(rows):
        write_recording(tmp_path / "s" / row["path"], noise(0.06, index))
    write_labels(tmp_path / "s", rows)
    held_out = []
    for seed in (0, 1):
        options = ImportOptions(clip_s=0.06, dev_fraction=0.2, seed=seed)
        summary = import_folder(tmp_path / "s", tmp_path / f"c{seed}", options)
        assert summary.corpus.manifest.rows == {"train": 64, "dev": 16}
        splits: dict[object, set[object]] = {}
        for clip in rows_of(summary.corpus.folder):
            splits.setdefault(clip["group"], set()).add(clip["split"])
        assert all(len(names) == 1 for names in splits.values())
        held_out.append({group for group, names in splits.items() if names == {"dev"}})
    assert held_out[0] != held_out[1]


def test_shards_and_row_groups_have_the_sizes_of_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "SHARD_BYTES", 20 * 1920)
    monkeypatch.setattr(parts, "LARGEST_SHARD_BYTES", 25 * 1920)
    for index in range(50):
        write_recording(tmp_path / "s" / "x" / f"{index}.wav", noise(0.06, index))
    import_folder(tmp_path / "s", tmp_path / "c", ImportOptions(clip_s=0.06, dev_fraction=0.1))
    manifest = Corpus.open(tmp_path / "c").manifest
    assert [(shard.file, shard.row_group_rows) for shard in manifest.shards] == [
        ("train-00000.parquet", (16, 7)),
        ("train-00001.parquet", (16, 6)),
        ("dev-00000.parquet", (5,)),
    ]
    for shard in manifest.shards:
        metadata = pq.read_metadata(tmp_path / "c" / shard.file)
        assert [
            metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)
        ] == list(shard.row_group_rows)


def test_refused_and_repaired_recordings_are_listed_with_reasons(tmp_path: Path) -> None:
    write_recording(tmp_path / "s" / "x" / "good.wav", noise(0.5))
    write_recording(tmp_path / "s" / "x" / "loud.wav", 20 * noise(0.5))
    write_recording(tmp_path / "s" / "x" / "silent.wav", 0 * noise(0.5))
    write_recording(tmp_path / "s" / "x" / "nan.wav", np.full(8000, np.nan, np.float32))
    write_recording(tmp_path / "s" / "x" / "tiny.wav", noise(0.01))
    (tmp_path / "s" / "x" / "text.wav").write_text("not audio")
    seen: list[tuple[int, int]] = []
    source = open_source(tmp_path / "s")
    summary = import_source(
        source, tmp_path / "c", SHORT, on_progress=lambda done, total: seen.append((done, total))
    )
    rejected = {
        row["path"]: (row["reason"], row["exception"])
        for row in listed(tmp_path / "c" / "rejected.csv")
    }
    assert rejected == {
        "x/nan.wav": ("has samples that are not finite numbers", "AudioError"),
        "x/tiny.wav": ("0.01 s is shorter than 0.05 s", "AudioError"),
        "x/text.wav": ("cannot be decoded (Format not recognised)", "LibsndfileError"),
    }
    notes = {row["path"]: row["note"] for row in listed(tmp_path / "c" / "notes.csv")}
    assert notes.keys() == {"x/loud.wav", "x/silent.wav"}
    assert notes["x/silent.wav"] == "has a clip of digital silence"
    assert notes["x/loud.wav"].endswith("times full scale was clipped")
    assert (
        summary.corpus.manifest.totals.recordings,
        summary.corpus.manifest.totals.rejected,
        summary.corpus.manifest.totals.noted,
    ) == (6, 3, 2)
    assert seen == [(done, 6) for done in range(1, 7)]


def test_a_recording_damaged_later_is_used_up_to_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BLOCK_S", 1)
    samples = noise(2.0)
    samples[20_000] = np.nan
    write_recording(tmp_path / "s" / "x" / "a.wav", samples)
    import_folder(tmp_path / "s", tmp_path / "c", SHORT)
    assert [row["start_s"] for row in rows_of(tmp_path / "c")] == [0.0, 0.5]
    (note,) = listed(tmp_path / "c" / "notes.csv")
    assert note == {
        "path": "x/a.wav",
        "note": "used only up to 1 s: has samples that are not finite numbers",
    }


def test_a_recording_listed_twice_is_imported_once(tmp_path: Path) -> None:
    write_recording(tmp_path / "s" / "a.wav", noise(0.5))
    write_labels(tmp_path / "s", [{"path": "a.wav", "label": "x"}] * 2)
    summary = import_folder(tmp_path / "s", tmp_path / "c", SHORT)
    assert summary.corpus.manifest.rows == {"train": 1}
    assert (
        listed(tmp_path / "c" / "rejected.csv")[0]["reason"]
        == "the part from 0 s on is listed twice"
    )


def test_a_source_without_usable_recordings_is_an_error(tmp_path: Path) -> None:
    """Nothing is left on the disk."""
    (tmp_path / "s" / "x").mkdir(parents=True)
    (tmp_path / "s" / "x" / "a.wav").write_text("not audio")
    with pytest.raises(
        CorpusError,
        match=r"none of the 1 recordings could be used; the first, x/a.wav: cannot be decoded",
    ):
        import_folder(tmp_path / "s", tmp_path / "c", SHORT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]


def test_an_interrupted_import_leaves_no_partial_file(tmp_path: Path) -> None:
    write_recording(tmp_path / "s" / "x" / "a.wav", noise(0.5))

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_source(open_source(tmp_path / "s"), tmp_path / "c", SHORT, on_progress=interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".c.importing", "s"]
    assert sorted(path.name for path in (tmp_path / ".c.importing").rglob("*")) == [
        "lock",
        "parts",
        "train-00000.json",
    ]


def test_a_target_is_replaced_only_on_request(tmp_path: Path) -> None:
    """Only by a complete corpus."""
    write_recording(tmp_path / "s" / "x" / "a.wav", noise(0.5))
    before = import_folder(tmp_path / "s", tmp_path / "c", SHORT)
    with pytest.raises(
        CorpusError, match="exists already: choose another folder or pass --overwrite"
    ):
        import_folder(tmp_path / "s", tmp_path / "c", SHORT)
    (tmp_path / "s" / "x" / "a.wav").write_text("broken")
    with pytest.raises(CorpusError, match="none of the 1"):
        import_folder(tmp_path / "s", tmp_path / "c", SHORT, overwrite=True)
    assert Corpus.open(tmp_path / "c").hash == before.corpus.hash
    write_recording(tmp_path / "s" / "x" / "a.wav", noise(0.5, 2))
    after = import_folder(tmp_path / "s", tmp_path / "c", SHORT, overwrite=True)
    assert Corpus.open(tmp_path / "c").hash == after.corpus.hash != before.corpus.hash
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "s"]


def test_a_corpus_that_could_not_be_replaced_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recording(tmp_path / "s" / "x" / "a.wav", noise(0.5))
    before = import_folder(tmp_path / "s", tmp_path / "c", SHORT)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name == "corpus":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(CorpusError, match=r"cannot be written \(No space left on device\)"):
        import_folder(tmp_path / "s", tmp_path / "c", SHORT, overwrite=True)
    assert Corpus.open(tmp_path / "c").hash == before.corpus.hash
    assert sorted(path.name for path in tmp_path.iterdir()) == [".c.importing", "c", "s"]


def test_a_folder_that_is_no_corpus_is_never_overwritten(tmp_path: Path) -> None:
    write_recording(tmp_path / "s" / "x" / "a.wav", noise(0.5))
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").touch()
    with pytest.raises(CorpusError, match="is not a corpus, so it is not overwritten"):
        import_folder(tmp_path / "s", tmp_path / "precious", SHORT, overwrite=True)
    assert (tmp_path / "precious" / "thesis.txt").exists()


def test_a_target_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    write_recording(tmp_path / "s" / "x" / "a.wav", noise(0.5))
    (tmp_path / "file").touch()
    with pytest.raises(
        CorpusError,
        match=r"file/c cannot be written \(Not a directory\): free space or choose another folder",
    ):
        import_folder(tmp_path / "s", tmp_path / "file" / "c", SHORT)


def test_names_that_are_odd_or_not_utf_8_are_imported(tmp_path: Path) -> None:
    names = ["new\nline.wav", "=1+1.wav", 'comma, "quote".wav', "not-utf8-\udcff.wav", "日本.wav"]
    for index, name in enumerate(names):
        write_recording(tmp_path / "plain.wav", noise(0.5, index))
        (tmp_path / "s" / "x").mkdir(parents=True, exist_ok=True)
        (tmp_path / "plain.wav").rename(tmp_path / "s" / "x" / name)
    import_folder(tmp_path / "s", tmp_path / "c", SHORT)
    assert {row["path"] for row in rows_of(tmp_path / "c")} == {
        f"x/{name}".replace("\udcff", "\\xff") for name in names
    }


def test_a_folder_of_awkward_recordings_is_imported(tmp_path: Path) -> None:
    source = awkward_recordings(tmp_path)
    summary = import_folder(
        source, tmp_path / "c", ImportOptions(clip_s=10.0, long_files="crop", dev_fraction=0.0)
    )
    rejected = {row["path"].split("-")[0] for row in listed(tmp_path / "c" / "rejected.csv")}
    assert rejected == {
        "03",
        "04",
        "05",
        "21",
        "22",
        "28",
        "29",
        "42",
        "43",
        *map(str, range(46, 53)),
        "57",
    }
    assert (
        summary.corpus.manifest.totals.recordings - summary.corpus.manifest.totals.rejected
        == sum(summary.corpus.manifest.rows.values())
        == len(Corpus.open(tmp_path / "c").read_split("train"))
    )
    notes = {row["path"][:2]: row["note"] for row in listed(tmp_path / "c" / "notes.csv")}
    assert notes.keys() == {"02", "14", "23", "24", "55", "56", "58", "59"}
    assert notes["02"] == "ends early: its header promises 64000 bytes of samples, 31978 are there"
    assert notes["56"].startswith("ends early: its header promises 32000 frames, 15023 are there; ")
    assert "Xing stream size off" in notes["56"]
    assert (
        notes["14"]
        == "its channels cancel each other: the mono mix is silent; has a clip of digital silence"
    )
    assert notes["23"].endswith("times full scale was clipped")
    assert notes["24"] == notes["59"] == "has a clip of digital silence"


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [
        ("wav", "PCM_24"),
        ("wav", "PCM_U8"),
        ("wav", "DOUBLE"),
        ("flac", "PCM_16"),
        ("ogg", "VORBIS"),
        ("mp3", None),
    ],
)
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (22_050, 6), (44_100, 2), (48_000, 2)])
def test_a_tone_survives_every_format_rate_and_channels(
    tmp_path: Path, suffix: str, subtype: str | None, rate: int, channels: int
) -> None:
    channels = min(channels, 2) if suffix == "mp3" else channels
    tone = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)).astype(np.float32)
    (tmp_path / "s" / "tone").mkdir(parents=True)
    soundfile.write(
        tmp_path / "s" / "tone" / f"a.{suffix}",
        np.stack([tone] * channels, axis=1),
        rate,
        subtype=subtype,
    )
    import_folder(tmp_path / "s", tmp_path / "c", ImportOptions(clip_s=1.0, long_files="crop"))
    (row,) = rows_of(tmp_path / "c")
    assert (row["sample_rate_hz"], len(pcm(row))) == (16_000, 16_000)
    spectrum = np.abs(np.fft.rfft(pcm(row)[2_000:-2_000] / 32768 * np.hanning(12_000)))
    assert np.argmax(spectrum) == 750
    assert 0.98 < spectrum[745:756].max() / (0.5 * 12_000 / 4) < 1.02


def test_links_and_pipes_are_imported_or_refused(tmp_path: Path) -> None:
    write_recording(tmp_path / "elsewhere.wav", noise(0.5))
    source = tmp_path / "s" / "x"
    source.mkdir(parents=True)
    (source / "link.wav").symlink_to(tmp_path / "elsewhere.wav")
    (source / "dangling.wav").symlink_to("nothing.wav")
    (source / "loop.wav").symlink_to("loop.wav")
    (source / "around").symlink_to(tmp_path / "s", target_is_directory=True)
    (source / "folder.wav").mkdir()
    os.mkfifo(source / "pipe.wav")
    summary = import_folder(tmp_path / "s", tmp_path / "c", SHORT)
    assert [row["path"] for row in rows_of(tmp_path / "c")] == ["x/link.wav"]
    assert {row["path"]: row["reason"] for row in listed(tmp_path / "c" / "rejected.csv")} == {
        "x/dangling.wav": "there is no such file",
        "x/loop.wav": "there is no such file",
        "x/pipe.wav": "is not a regular file",
    }
    assert summary.corpus.manifest.totals.recordings == 4


def test_a_folder_that_cannot_be_listed_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recording(tmp_path / "s" / "x" / "a.wav", noise(0.5))
    scandir = os.scandir

    def failing(folder: str) -> object:
        if str(folder).endswith("/x"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(
        CorpusError, match=r"the folder .*/x cannot be listed \(Permission denied\)"
    ):
        import_folder(tmp_path / "s", tmp_path / "c", SHORT)


def test_a_wav_that_was_cut_off_is_used_and_noted(tmp_path: Path) -> None:
    write_recording(tmp_path / "s" / "x" / "a.wav", noise(1.0), subtype="PCM_16")
    content = (tmp_path / "s" / "x" / "a.wav").read_bytes()
    (tmp_path / "s" / "x" / "a.wav").write_bytes(content[:-16_000])
    size = content.index(b"data") + 4
    (tmp_path / "s" / "x" / "streamed.wav").write_bytes(
        content[:size] + b"\xff" * 4 + content[size + 4 :]
    )
    import_folder(tmp_path / "s", tmp_path / "c", ImportOptions(clip_s=1.0))
    assert {row["path"]: row["num_samples"] for row in rows_of(tmp_path / "c")} == {
        "x/a.wav": 8_000,
        "x/streamed.wav": 16_000,
    }
    assert listed(tmp_path / "c" / "notes.csv") == [
        {
            "path": "x/a.wav",
            "note": "ends early: its header promises 32000 bytes of samples, 16000 are there",
        }
    ]
