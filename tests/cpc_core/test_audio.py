from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from torchaudio.transforms import Resample

from cpc_core.audio import libsndfile, read_audio, read_blocks, reading, resampling
from cpc_core.errors import AudioError
from tests.helpers.recordings import awkward_recordings, noise, write_recording


def test_16_khz_mono_comes_back_unchanged(tmp_path: Path) -> None:
    samples = noise(0.5)
    write_recording(tmp_path / "a.wav", samples)
    recording = read_audio(tmp_path / "a.wav")
    assert recording.samples.dtype == np.float32
    assert np.array_equal(recording.samples, samples)
    assert (recording.sample_rate_hz, recording.source_rate_hz, recording.notes) == (
        16_000,
        16_000,
        (),
    )


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = noise(0.2, 1), noise(0.2, 2)
    write_recording(tmp_path / "a.wav", np.stack((left, right), axis=1))
    assert np.allclose(read_audio(tmp_path / "a.wav").samples, (left + right) / 2, atol=1e-7)


def test_channels_that_cancel_are_noted(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.wav", np.stack((noise(0.2), -noise(0.2)), axis=1))
    recording = read_audio(tmp_path / "a.wav")
    assert not recording.samples.any()
    assert recording.notes == ("its channels cancel each other: the mono mix is silent",)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_a_tone_keeps_its_frequency_and_level(tmp_path: Path, rate: int) -> None:
    write_recording(
        tmp_path / "a.wav",
        np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32),
        rate,
    )
    recording = read_audio(tmp_path / "a.wav")
    assert len(recording.samples) == 16_000
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert np.abs(recording.samples - expected)[100:-100].max() < 2e-3


@pytest.mark.parametrize("seconds", [0.4, 1.0, 2.0, 2.5, 3.0, 3.5, 6.0, 7.3])
def test_blocks_joined_are_the_recording_resampled_in_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    samples = noise(seconds, rate=44_100)
    write_recording(tmp_path / "a.wav", samples, 44_100)
    monkeypatch.setattr(reading, "BLOCK_S", 3)
    blocks = [block.samples for block in read_blocks(tmp_path / "a.wav")]
    assert len(blocks) == math.ceil(seconds / 3)
    whole = Resample(44_100, 16_000)(torch.from_numpy(samples)).numpy()
    assert np.abs(np.concatenate(blocks) - whole).max() < 2e-7


@pytest.mark.parametrize(
    ("seconds", "resampled"),
    [(1.0, [1.0]), (2.5, [2.5]), (3.0, [3.0]), (6.0, [3.0, 5.0]), (7.3, [3.0, 5.0, 3.3])],
)
def test_no_more_is_resampled_than_the_seconds_at_inner_edges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, resampled: list[float]
) -> None:
    write_recording(tmp_path / "a.wav", noise(seconds, rate=44_100), 44_100)
    pieces: list[float] = []
    resample = resampling._resample

    def measured(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
        pieces.append(len(samples) / rate)
        return resample(samples, rate)

    monkeypatch.setattr(reading, "BLOCK_S", 3)
    monkeypatch.setattr(resampling, "_resample", measured)
    read_audio(tmp_path / "a.wav")
    assert pieces == resampled


def test_blocks_before_a_damaged_one_are_yielded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = noise(7.0, rate=44_100)
    samples[5 * 44_100] = np.nan
    write_recording(tmp_path / "a.wav", samples, 44_100)
    monkeypatch.setattr(reading, "BLOCK_S", 3)
    blocks = read_blocks(tmp_path / "a.wav")
    assert len(next(blocks).samples) == 2 * 16_000
    with pytest.raises(AudioError, match="has samples that are not finite numbers"):
        next(blocks)


def test_an_mp3_read_in_pieces_is_the_one_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "a.mp3", noise(8.0, rate=24_000), 24_000)
    monkeypatch.setattr(reading, "BLOCK_S", 3)
    monkeypatch.setattr(libsndfile, "CHUNK_SAMPLES", 10_000)
    at_once, _ = soundfile.read(tmp_path / "a.mp3", dtype="float32")
    expected = Resample(24_000, 16_000)(torch.from_numpy(at_once)).numpy()
    assert np.abs(read_audio(tmp_path / "a.mp3").samples - expected).max() < 1e-6


@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize(
    ("left_over", "level"), [(0.0, "silent"), (0.1, "more than 20 dB below them"), (0.4, "")]
)
def test_channels_that_cancel_are_noted_from_20_db_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int, left_over: float, level: str
) -> None:
    """Over the recording: a click in one channel is not enough to be heard."""
    monkeypatch.setattr(libsndfile, "CHUNK_SAMPLES", 1_000)
    own, other = noise(0.2), noise(0.2, 1)
    third = (channels - 2) * (0 * own,)
    write_recording(tmp_path / "a.wav", np.stack((own, left_over * other - own, *third), axis=1))
    recording = read_audio(tmp_path / "a.wav")
    assert recording.notes == (
        (f"its channels cancel each other: the mono mix is {level}",) if level else ()
    )


def test_silent_channels_do_not_cancel(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.wav", np.zeros((3_200, 2), np.float32))
    assert read_audio(tmp_path / "a.wav").notes == ()


def test_a_part_is_read_from_where_it_starts(tmp_path: Path) -> None:
    samples = noise(2.0)
    write_recording(tmp_path / "a.wav", samples)
    assert np.array_equal(
        read_audio(tmp_path / "a.wav", start_s=0.5, max_s=0.25).samples, samples[8_000:12_000]
    )
    assert np.array_equal(
        read_audio(tmp_path / "a.wav", start_s=1.5, max_s=9).samples, samples[24_000:]
    )


def test_a_rate_without_a_common_factor_is_rounded_and_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BLOCK_S", 1)
    write_recording(tmp_path / "a.wav", noise(3.0, rate=44_099), 44_099)
    recording = read_audio(tmp_path / "a.wav")
    assert recording.notes == ("its rate of 44099 Hz was rounded to 44100 Hz",)
    assert len(recording.samples) == pytest.approx(48_000, abs=2)


def test_a_file_is_decoded_by_content_whatever_its_name(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.mp3", noise(0.1))
    assert len(read_audio(tmp_path / "a.mp3").samples) == 1_600


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    samples: NDArray[np.float32] = noise(0.1)
    nan, infinite = samples.copy(), samples.copy()
    nan[7], infinite[7] = np.nan, np.inf
    write_recording(folder / "nan.wav", nan)
    write_recording(folder / "infinite.wav", infinite)
    write_recording(folder / "empty.wav", samples[:0])
    write_recording(folder / "slow.wav", samples, 1)
    (folder / "text.wav").write_text("not audio")
    (folder / "zero.wav").touch()
    os.mkfifo(folder / "pipe.wav")
    reasons = {
        "nan": "has samples that are not finite numbers",
        "infinite": "has samples that are not finite numbers",
        "empty": "holds no samples",
        "slow": "a rate of 1 Hz is not audio",
        "text": r"cannot be decoded \(Format not recognised\)",
        "zero": r"cannot be decoded \(Format not recognised\)",
        "pipe": "is not a regular file",
        "missing": "there is no such file",
    }
    return {name: (folder / f"{name}.wav", reason) for name, reason in reasons.items()}


@pytest.mark.parametrize(
    "name", ["nan", "infinite", "empty", "slow", "text", "zero", "pipe", "missing"]
)
def test_an_unusable_file_is_an_error_with_its_name_and_reason(tmp_path: Path, name: str) -> None:
    path, reason = bad_files(tmp_path)[name]
    with pytest.raises(AudioError, match=f"{name}.wav: {reason}"):
        read_audio(path)


@pytest.mark.parametrize("start", [4_000, 31_003, 70_007, 101_010])
def test_a_part_of_an_mp3_is_the_part_of_the_whole(tmp_path: Path, start: int) -> None:
    soundfile.write(tmp_path / "a.mp3", noise(8.0, rate=24_000), 24_000)
    whole, _ = soundfile.read(tmp_path / "a.mp3", dtype="float32")
    expected = Resample(24_000, 16_000)(torch.from_numpy(whole[start : start + 24_000])).numpy()
    part = read_audio(tmp_path / "a.mp3", start_s=start / 24_000, max_s=1)
    assert np.abs(part.samples - expected).max() < 1e-6


def test_a_part_behind_the_end_is_an_error(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.wav", noise(1.0))
    with pytest.raises(AudioError, match=r"start_s 1\.5 lies behind its end at 1 s"):
        read_audio(tmp_path / "a.wav", start_s=1.5)


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return awkward_recordings(tmp_path_factory.mktemp("nasty"))


REFUSED = {3, 4, 5, 21, 22, 42, 43, 46, 47, 48, 49, 50, 51, 52, 57}


def test_awkward_recordings_are_audio_or_an_audio_error(nasty: Path) -> None:
    refused = set()
    for path in sorted(nasty.iterdir()):
        number = path.name.lstrip("-").split("-")[0]
        if not number.isdigit():
            continue
        try:
            for block in read_blocks(path):
                assert len(block.samples)
                assert np.isfinite(block.samples).all()
        except AudioError as error:
            assert str(error).encode("utf-8")
            refused.add(int(number))
    assert refused == REFUSED


def test_a_truncated_recording_is_used_and_noted(nasty: Path) -> None:
    recording = read_audio(nasty / "56-mp3-truncated.mp3")
    assert len(recording.samples) == 15_023
    assert recording.notes == ("ends early: its header promises 32000 frames, 15023 are there",)


@pytest.mark.parametrize(
    "name", ["06-unsigned-8bit.wav", "07-24bit.wav", "10-float64.wav", "33-flac.flac", "39-w64.w64"]
)
def test_encodings_of_one_recording_agree(nasty: Path, name: str) -> None:
    reference = read_audio(nasty / "01-reference-16k-mono.wav").samples
    assert np.abs(read_audio(nasty / name).samples - reference).max() <= (
        1 / 64 if "8bit" in name else 2 / 32768
    )


def test_any_rate_of_one_recording_has_its_duration(nasty: Path) -> None:
    lengths = [len(read_audio(path).samples) for path in nasty.glob("*-rate-*000.wav")] + [
        len(read_audio(nasty / name).samples) for name in ("18-rate-44100.wav", "20-rate-12345.wav")
    ]
    assert set(lengths) == {soundfile.info(nasty / "01-reference-16k-mono.wav").frames}
