from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from torchaudio.functional import resample

from cpc_core.corpus.audit.fingerprint import NEAR_BITS, fingerprint, near_pairs, power_of
from cpc_core.corpus.sample import SAMPLE_FOLDER

Samples = NDArray[np.float32]

BASS = {"bd_808", "bd_boom", "bd_gas"}
"""Bass drums, which have almost no power in the fingerprint's bands."""


@pytest.fixture(scope="module")
def recordings() -> dict[str, Samples]:
    """Bundled recordings of every class, four of each."""
    folders = sorted({path.parent for path in SAMPLE_FOLDER.rglob("*.flac")})
    chosen = [path for folder in folders for path in sorted(folder.glob("*.flac"))[:4]]
    return {path.stem: soundfile.read(path, dtype="float32")[0] for path in chosen}


def of(samples: Samples) -> NDArray[np.uint16]:
    return fingerprint(power_of(samples))


def differing(first: NDArray[np.uint16], second: NDArray[np.uint16]) -> int:
    return int(np.bitwise_count(first ^ second).sum())


def quantised(samples: Samples) -> Samples:
    levels: Samples = (np.rint(samples * 32767) / 32768).astype(np.float32)
    return levels


def via_rate(samples: Samples, rate: int) -> Samples:
    there = resample(torch.from_numpy(samples), 16_000, rate)
    back: Samples = resample(there, rate, 16_000).numpy()
    return back


def via_mp3(samples: Samples) -> Samples:
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="MP3", subtype="MPEG_LAYER_III")
    file.seek(0)
    decoded: Samples = soundfile.read(file, dtype="float32")[0]
    return decoded


def test_a_fingerprint_does_not_change_with_the_level(recordings: dict[str, Samples]) -> None:
    # By a power of two nothing is rounded, so that every sign stays.
    for samples in recordings.values():
        assert differing(of(samples), of(samples * np.float32(0.25))) == 0


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
def test_a_fingerprint_survives_another_rate_and_level(
    recordings: dict[str, Samples], rate: int
) -> None:
    distances = {
        name: differing(of(samples), of(quantised(0.5 * via_rate(samples, rate))))
        for name, samples in recordings.items()
    }
    assert {name for name, distance in distances.items() if distance > NEAR_BITS} <= BASS
    assert np.median(list(distances.values())) <= 2


def test_a_fingerprint_often_survives_mp3(recordings: dict[str, Samples]) -> None:
    distances = [differing(of(samples), of(via_mp3(samples))) for samples in recordings.values()]
    assert np.mean(np.array(distances) <= NEAR_BITS) > 0.5


def test_different_recordings_differ_in_many_bits(recordings: dict[str, Samples]) -> None:
    found = [of(samples) for samples in recordings.values()]
    distances = [
        differing(first, second) for index, first in enumerate(found) for second in found[:index]
    ]
    assert min(distances) > 2 * NEAR_BITS
    assert 100 < np.median(distances) < 130


def test_noise_differs_as_independent_bits_do() -> None:
    rng = np.random.default_rng(0)
    found = [of(rng.standard_normal(32_000).astype(np.float32)) for _ in range(60)]
    distances = [
        differing(first, second) for index, first in enumerate(found) for second in found[:index]
    ]
    assert np.mean(distances) == pytest.approx(128, abs=1)


@pytest.mark.parametrize("length", [1, 700, 1024, 1025, 80_000])
def test_a_clip_of_any_length_has_a_fingerprint(length: int) -> None:
    assert of(np.random.default_rng(0).standard_normal(length).astype(np.float32)).shape == (16,)


def test_silence_has_the_empty_fingerprint() -> None:
    assert not of(np.zeros(16_000, np.float32)).any()


def test_near_pairs_are_those_of_comparing_all_with_all() -> None:
    rng = np.random.default_rng(1)
    originals = rng.integers(0, 2**16, (300, 16), dtype=np.uint16)
    flips = rng.random((300, 256)) < 0.04
    copies = originals ^ np.packbits(flips, axis=1).view(">u2").astype(np.uint16)
    everything = rng.permutation(np.concatenate((originals, copies)))
    words = np.ascontiguousarray(everything).view(np.uint64)
    distance = np.bitwise_count(words[:, None] ^ words[None]).sum(axis=2)
    first, second = np.nonzero(np.triu(distance <= NEAR_BITS, 1))
    pairs, bits = near_pairs(everything)
    assert len(pairs) > 290
    assert pairs.tolist() == np.column_stack((first, second)).tolist()
    assert bits.tolist() == distance[first, second].tolist()


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_clips_have_no_pair(count: int) -> None:
    pairs, bits = near_pairs(np.zeros((count, 16), np.uint16))
    assert (pairs.shape, bits.shape) == ((0, 2), (0,))
