from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from torchaudio.functional import resample

from cpc_core.corpus.audit.findings import AuditResult, Damage, Finding
from cpc_core.corpus.audit.measures import measure_row_group
from cpc_core.corpus.audit.run import audit
from cpc_core.corpus.audit.samples import COLUMNS, ROWS, read_samples, spectrogram
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.importing.run import import_folder
from cpc_core.corpus.manifest import ImportOptions
from cpc_core.corpus.row_groups import read_row_group
from cpc_core.corpus.sample import SAMPLE_FOLDER
from cpc_core.errors import CorpusError
from tests.helpers.damage import flip_audio_bit
from tests.helpers.recordings import noise, noise_corpus, write_labels, write_recording

Samples = NDArray[np.float32]


def finding(info: AuditResult, check: str) -> Finding:
    (found,) = (finding for finding in info.findings if finding.check == check)
    return found


def paths(found: Finding) -> list[tuple[str, ...]]:
    return [tuple(clip.path for clip in example) for example in found.examples]


def tone(hz: float, amplitude: float = 0.3) -> Samples:
    wave: Samples = (amplitude * np.sin(2 * np.pi * hz * np.arange(16_000) / 16_000)).astype(
        np.float32
    )
    return wave


def guitar() -> Samples:
    samples: Samples = soundfile.read(
        SAMPLE_FOLDER / "clips/events/guitar/nylon_a3.flac", dtype="float32"
    )[0][:16_000]
    return samples


ODD: dict[str, tuple[Samples, int, str, str]] = {
    "noise.wav": (noise(1.0), 16_000, "train", "a"),
    "same.wav": (noise(1.0), 16_000, "dev", "b"),
    "guitar.wav": (guitar(), 16_000, "train", "c"),
    "guitar44.wav": (
        0.4 * resample(torch.from_numpy(guitar()), 16_000, 44_100).numpy(),
        44_100,
        "dev",
        "d",
    ),
    "nothing.wav": (np.zeros(16_000, np.float32), 16_000, "train", "e"),
    "nothing_again.wav": (np.zeros(8_000, np.float32), 16_000, "dev", "f"),
    "whisper.wav": (0.005 * noise(1.0, 3), 16_000, "train", "g"),
    "clipped.wav": (tone(200, 2.0).clip(-1, 1), 16_000, "train", "h"),
    "touching.wav": (tone(4000, 0.9999), 16_000, "train", "i"),
    "offset.wav": (noise(1.0, 4) + np.float32(0.05), 16_000, "train", "j"),
    "telephone.wav": (noise(1.0, 5, rate=8_000), 8_000, "train", "k"),
    "speaker1.wav": (noise(1.0, 6), 16_000, "train", "speaker"),
    "speaker2.wav": (noise(1.0, 7), 16_000, "dev", "speaker"),
}
"""Samples, rate, split and group of recordings with one fault each."""


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> AuditResult:
    folder = tmp_path_factory.mktemp("odd")
    rows = []
    for index, (name, (samples, rate, split, group)) in enumerate(ODD.items()):
        write_recording(folder / "source" / name, samples, rate)
        rows.append(
            {
                "path": name,
                "label": "rare" if name == "noise.wav" else "",
                "tags": f"t{index % 2}",
                "split": split,
                "group": group,
            }
        )
    write_labels(folder / "source", rows)
    import_folder(folder / "source", folder / "corpus", ImportOptions(clip_s=1.0))
    return audit(folder / "corpus")


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("padding", set()),
        ("silence", {("nothing.wav",), ("nothing_again.wav",)}),
        ("near silence", {("whisper.wav",)}),
        ("clipping", {("clipped.wav",)}),
        ("DC offset", {("offset.wav",)}),
        ("exact duplicates", {("noise.wav", "same.wav")}),
        ("near duplicates", {("guitar.wav", "guitar44.wav")}),
        ("content in two splits", {("noise.wav", "same.wav"), ("guitar.wav", "guitar44.wav")}),
        ("group in two splits", {("speaker1.wav", "speaker2.wav")}),
        ("recording in two splits", set()),
        ("sample rate", set()),
        ("shards", set()),
    ],
)
def test_each_fault_is_found_and_no_other(
    odd: AuditResult, check: str, expected: set[tuple[str, ...]]
) -> None:
    found = finding(odd, check)
    assert {tuple(sorted(example)) for example in paths(found)} == expected
    assert found.count == len(expected)
    assert found.verdict == ("look" if expected else "good")


def test_clips_that_are_mostly_padding_are_counted(tmp_path: Path) -> None:
    for index, seconds in enumerate((0.3, 0.4, 0.6, 1.0)):
        write_recording(tmp_path / "s" / "x" / f"{index}.wav", noise(seconds, index))
    import_folder(tmp_path / "s", tmp_path / "c", ImportOptions(clip_s=1.0))
    found = finding(audit(tmp_path / "c"), "padding")
    assert (found.count, found.verdict) == (2, "look")
    assert paths(found) == [("x/0.wav",), ("x/1.wav",)]


def test_a_recording_at_8_khz_is_found_by_its_bandwidth(odd: AuditResult) -> None:
    found = {path for (path,) in paths(finding(odd, "bandwidth"))}
    assert "telephone.wav" in found
    assert not {name for name in found if name.startswith(("noise", "same", "speaker", "offset"))}


def test_labels_are_counted_in_each_split(odd: AuditResult) -> None:
    assert {label.label: label.rows for label in odd.labels} == {
        "t0": {"train": 6, "dev": 1},
        "t1": {"train": 3, "dev": 3},
        "rare": {"train": 1},
    }
    assert [label.label for label in odd.labels] == ["t0", "t1", "rare"]
    assert finding(odd, "labels missing in a split").detail.endswith(": rare")
    assert finding(odd, "imbalance").detail == "labels; t0 has 7 times the clips of rare"


def test_histograms_count_every_clip_where_it_belongs(odd: AuditResult) -> None:
    assert {sum(histogram.counts) for histogram in odd.histograms} == {len(ODD)}
    duration = next(histogram for histogram in odd.histograms if histogram.measure == "duration")
    filled = {
        round(edge, 2): count
        for edge, count in zip(duration.edges, duration.counts, strict=False)
        if count
    }
    assert filled == {0.48: 1, 0.96: len(ODD) - 1}
    assert odd.audio_s == pytest.approx(len(ODD) - 0.5)


def test_an_audit_is_plain_values(odd: AuditResult) -> None:
    assert json.loads(json.dumps(asdict(odd)))["findings"][0]["check"] == "shards"


def test_levels_are_those_of_their_definition(tmp_path: Path) -> None:
    write_recording(tmp_path / "source" / "x" / "tone.wav", tone(1000, 0.5) + np.float32(0.1))
    import_folder(
        tmp_path / "source", tmp_path / "corpus", ImportOptions(clip_s=2.0, padding="zero")
    )
    corpus = Corpus.open(tmp_path / "corpus")
    table = read_row_group(corpus.row_groups("train")[0], corpus_columns())
    (clip,) = measure_row_group(table, 0, 0, corpus.clip_samples)
    assert clip["seconds"] == 1.0
    assert clip["level_db"] == pytest.approx(10 * np.log10(0.5**2 / 2 + 0.1**2), abs=0.01)
    assert clip["peak_db"] == pytest.approx(20 * np.log10(0.6), abs=0.01)
    assert clip["offset_db"] == pytest.approx(-20, abs=0.01)
    assert clip["bandwidth_hz"] == pytest.approx(1000, abs=60)
    assert clip["clipped"] == 0


def corpus_columns() -> list[str]:
    return ["audio", "num_samples", "sample_rate_hz", "path", "group"]


def test_a_flipped_byte_is_located(tmp_path: Path) -> None:
    """By shard and row group; the other row groups are audited."""
    corpus = noise_corpus(tmp_path, train=40, dev=4)
    flip_audio_bit(Path(corpus.folder) / "train-00000.parquet", [1])
    info = audit(corpus.folder)
    assert info.is_broken
    assert [(damage.shard, damage.row_group) for damage in info.damages] == [
        ("train-00000.parquet", None),
        ("train-00000.parquet", 1),
    ]
    assert info.damages[0].reason.startswith("has sha256 ")
    assert "CRC checksum verification failed" in info.damages[1].reason
    assert finding(info, "shards").verdict == "broken"
    assert {sum(histogram.counts) for histogram in info.histograms} == {44 - 16}


def test_a_flipped_byte_outside_the_pages_is_found(tmp_path: Path) -> None:
    """By the checksum of the file: no checksum of a page covers it."""
    corpus = noise_corpus(tmp_path, train=20)
    shard = Path(corpus.folder) / "train-00000.parquet"
    content = shard.read_bytes()
    # The writer's name in the footer.
    shard.write_bytes(content.replace(b"parquet-cpp-arrow", b"parquet-cpp-arroW"))
    assert [damage.row_group for damage in audit(corpus.folder).damages] == [None]


def test_a_shard_that_is_missing_or_cut_is_found(tmp_path: Path) -> None:
    corpus = noise_corpus(tmp_path, train=20, dev=4)
    (Path(corpus.folder) / "dev-00000.parquet").unlink()
    shard = Path(corpus.folder) / "train-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    info = audit(corpus.folder)
    assert Damage("dev-00000.parquet", None, "is missing") in info.damages
    assert [
        damage.row_group for damage in info.damages if damage.shard == "train-00000.parquet"
    ] == [None, 0, 1]
    assert info.samples == ()


def test_a_healthy_corpus_has_no_finding_that_is_not_good(tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    info = audit(
        noise_corpus(tmp_path, train=20, dev=6).folder,
        on_progress=lambda *progress: done.append(progress),
    )
    assert [found.check for found in info.findings if found.verdict != "good"] == []
    assert done == [(16, 26), (20, 26), (26, 26)]


def test_a_folder_without_a_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="is not a corpus"):
        audit(tmp_path)


def test_samples_are_the_clips_they_name(tmp_path: Path) -> None:
    corpus = noise_corpus(tmp_path, train=20)
    info = audit(corpus.folder)
    assert {ref.label for ref in info.samples} == {"odd", "even"}
    clips = corpus.read_split("train")
    audio = dict(zip(clips.paths, clips.audio, strict=True))

    for sample in read_samples(corpus.folder, info):
        decoded, rate = soundfile.read(io.BytesIO(sample.flac), dtype="float32")
        assert rate == 16_000
        assert torch.equal(torch.from_numpy(decoded), audio[sample.ref.path])
        assert sample.spectrogram.shape == (ROWS, COLUMNS)


def test_a_spectrogram_shows_when_and_how_high() -> None:
    pcm = np.zeros(16_000, np.int16)
    pcm[8_000:] = np.rint(20_000 * tone(1000, 1.0)[8_000:])
    levels = spectrogram(pcm)
    assert not levels[:, : COLUMNS // 2 - 10].any()
    assert levels.max() == 255
    mel = 2595 * np.log10(1 + 1000 / 700) / (2595 * np.log10(1 + 8000 / 700))
    assert levels[:, 3 * COLUMNS // 4].argmax() == pytest.approx(mel * ROWS, abs=2)
