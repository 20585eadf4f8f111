"""The encoder of an export on recordings as people have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from cpc_core import load
from cpc_core.audio import reading
from cpc_core.audio.reading import read_audio
from cpc_core.errors import AudioError, CheckpointError
from cpc_core.export import encoder as encoder_module
from cpc_core.export.encoder import Block, Embedding, Encoder
from tests.helpers.configs import noise
from tests.helpers.exports import export

CLOSE = 3e-6


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load(export(tmp_path_factory.mktemp("export")))


@pytest.fixture(scope="module", params=["valid", "same"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """Of both paddings."""
    preset = {"valid": "printed", "same": "patches_40ms"}[request.param]
    return load(export(tmp_path_factory.mktemp("export"), preset=preset))


LENGTHS = (16_000, 955, 4_000, 31_111, 100, 8_000)


@pytest.mark.parametrize("batch", [10_000, 50_000, 10**7])
def test_a_recording_is_what_it_is_alone(
    either: Encoder, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is batched with, and in the order in which it was given."""
    monkeypatch.setattr(encoder_module, "BATCH_SAMPLES", batch)
    recordings = [noise(1, length, seed)[0] for seed, length in enumerate(LENGTHS)]
    together = either(recordings)
    assert together.short == (False, False, False, False, True, False)
    for place, recording in enumerate(recordings):
        alone = either(recording)
        assert alone.frames[0].shape == together.frames[place].shape
        assert torch.allclose(together.frames[place], alone.frames[0], atol=CLOSE)
        assert torch.allclose(together.mean_std()[place], alone.mean_std()[0], atol=CLOSE)
        assert torch.equal(together.times[place], alone.times[0])


def test_every_layer_can_be_chosen(encoder: Encoder) -> None:
    recordings = [noise(1, length)[0] for length in (4_000, 2_000)]
    for layer in encoder.layers:
        out = encoder(recordings, layer=layer)
        assert out.lengths == tuple(len(times) for times in out.times)
        assert all(frames.any() for frames in out.frames)
    assert encoder.layers[-1] == "context.11"
    last = encoder(recordings, layer="context.11").frames[0]
    assert torch.equal(last, encoder(recordings).frames[0])
    latents = encoder(recordings, layer="latents").frames[0]
    assert torch.equal(latents, encoder(recordings, layer="encoder.8").frames[0])
    first = encoder(recordings, layer="encoder.0")
    assert first.lengths == ((4_000 - 10) // 5 + 1, (2_000 - 10) // 5 + 1)
    assert float(first.times[0][0]) == pytest.approx(5 / 16_000)
    with pytest.raises(ValueError, match=r"no layer context\.12"):
        encoder(recordings, layer="context.12")


def test_a_frames_time_is_the_centre_of_its_patch(encoder: Encoder) -> None:
    times = encoder(noise(1, 16_000)[0]).times[0]
    assert float(times[0]) == pytest.approx(955 / 2 / 16_000)
    assert torch.allclose(times.diff(), torch.tensor(0.02))


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_other_rates_and_channels_are_read_as_imports_read_them(
    encoder: Encoder, rate: int, tmp_path: Path
) -> None:
    stereo = np.random.default_rng(0).uniform(-0.5, 0.5, (rate, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", stereo, rate, subtype="FLOAT")
    wanted = encoder(read_audio(tmp_path / "a.wav").samples)
    found = encoder(stereo.T, sample_rate=rate)
    assert torch.allclose(found.frames[0], wanted.frames[0], atol=CLOSE)


@pytest.mark.parametrize("seconds", [0.03, 0.5, 7.3, 45.0])
@pytest.mark.parametrize("block_s", [1, 5, 60])
def test_a_stream_is_the_whole(
    either: Encoder, seconds: float, block_s: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BLOCK_S", block_s)
    audio = noise(1, int(seconds * 16_000))[0]
    soundfile.write(tmp_path / "a.wav", audio.numpy(), 16_000, subtype="FLOAT")
    require_same(either(audio), list(either.stream(tmp_path / "a.wav")))


@pytest.mark.parametrize("layer", ["encoder.0", "encoder.5", "latents", "context.3"])
@pytest.mark.parametrize("samples", [100, 955, 40_003, 90_000])
def test_a_stream_of_any_layer_is_the_whole(
    either: Encoder, layer: str, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers of the encoder have frames of their own behind the last context's."""
    monkeypatch.setattr(encoder_module, "PIECE_FRAMES", 70)
    audio = noise(1, samples)[0]
    whole = either(audio, layer=layer)
    blocks = (audio[begin : begin + 20_000].numpy() for begin in range(0, samples, 20_000))
    require_same(whole, list(either.stream_samples(blocks, layer)))
    monkeypatch.setattr(encoder_module, "BATCH_SAMPLES", 1_000)
    assert torch.allclose(either(audio, layer=layer).frames[0], whole.frames[0], atol=CLOSE)


def require_same(whole: Embedding, blocks: list[Block]) -> None:
    joined = torch.cat([block.frames for block in blocks])
    assert joined.shape == whole.frames[0].shape
    assert torch.allclose(joined, whole.frames[0], atol=CLOSE)
    assert torch.allclose(torch.cat([block.times for block in blocks]), whole.times[0])


def test_weights_are_frozen_until_they_are_thawed(encoder: Encoder) -> None:
    assert not any(weight.requires_grad for weight in encoder.parameters())
    assert encoder(noise(1, 2_000)[0]).frames[0].is_inference()
    try:
        out = encoder.train()(noise(1, 2_000)[0])
        out.mean().sum().backward()
        assert all(weight.grad is not None for weight in encoder.model.encoder.parameters())
    finally:
        encoder.zero_grad()
        encoder.eval()


@pytest.mark.parametrize(
    ("audio", "rate", "said"),
    [
        (torch.zeros(2, 3, 4), 16_000, "not 2×3×4"),
        (torch.zeros(0), 16_000, "with samples in it"),
        ([], 16_000, "with samples in it"),
        (torch.tensor([0.0, float("nan")]), 16_000, "not finite"),
        (torch.zeros(100), 1, "a rate of 1 Hz is not audio"),
    ],
)
def test_what_is_no_recording_is_refused(
    encoder: Encoder, audio: torch.Tensor | list[float], rate: int, said: str
) -> None:
    with pytest.raises(AudioError, match=said):
        encoder(audio, sample_rate=rate)


def test_a_folder_that_is_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no export"):
        load(str(tmp_path))
