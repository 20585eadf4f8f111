"""Augmentation baselines on tones, measured by their frequency."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from cpc_core.adversary.base import Perturbation
from cpc_core.clean_pass import CleanPass
from cpc_core.model.cpc_model import CpcModel
from tests.helpers.configs import noise, tiny_clean_pass, tiny_config

SAMPLES = 16_000


def clean_pass(audio: Tensor) -> CleanPass:
    return tiny_clean_pass(tiny_config(), CpcModel(tiny_config()), audio)


def tones(frequencies_hz: list[float]) -> Tensor:
    time = torch.arange(SAMPLES) / 16_000
    return torch.stack(
        [0.3 * torch.sin(2 * math.pi * frequency * time) for frequency in frequencies_hz]
    )


def peak_hz(audio: Tensor) -> Tensor:
    """Strongest frequency of the middle half, where nothing is padded or joined."""
    middle = audio[:, SAMPLES // 4 : 3 * SAMPLES // 4] * torch.hann_window(SAMPLES // 2)
    strongest: Tensor = torch.fft.rfft(middle, n=4 * SAMPLES).abs().argmax(dim=1)
    return strongest / 4


def augmentation(**settings: Any) -> Perturbation:
    adversary = tiny_config(adversary=settings).adversary.start()
    assert adversary is not None
    return adversary


def transformed(audio: Tensor, **settings: Any) -> Tensor:
    perturbed = augmentation(**settings).perturb(clean_pass(audio))
    assert perturbed.shape == audio.shape
    return perturbed


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.25])
def test_speed_scales_every_frequency(factor: float) -> None:
    faster = transformed(tones([440.0, 1000.0]), kind="speed", factors=[factor])
    torch.testing.assert_close(
        peak_hz(faster), torch.tensor([440.0, 1000.0]) * factor, rtol=2e-3, atol=0
    )


def test_a_faster_clip_goes_on_from_its_beginning() -> None:
    faster = transformed(tones([440.0]), kind="speed", factors=[1.25])
    torch.testing.assert_close(faster[:, 12_800:], faster[:, : SAMPLES - 12_800])


@pytest.mark.parametrize("semitones", [-2.0, 0.0, 3.0])
def test_pitch_scales_frequencies_and_keeps_the_tempo(semitones: float) -> None:
    audio = tones([440.0, 1000.0])
    audio[:, : SAMPLES // 2] *= 0.01
    shifted = transformed(audio, kind="pitch", semitones=[semitones])
    torch.testing.assert_close(
        peak_hz(shifted), torch.tensor([440.0, 1000.0]) * 2 ** (semitones / 12), rtol=8e-3, atol=0
    )
    loud = shifted.abs() > 0.1
    onset = loud.int().argmax(dim=1)
    assert ((onset - SAMPLES // 2).abs() < 600).all()


def test_noise_has_a_ratio_within_its_range() -> None:
    audio = tones([440.0] * 40)
    audio *= torch.linspace(0.01, 1, 40)[:, None]
    noisy = transformed(audio, kind="additive_noise", snr_db=[5, 25])
    ratio_db = 10 * torch.log10(audio.square().mean(1) / (noisy - audio).square().mean(1))
    assert 5 - 1e-3 <= ratio_db.min() < 8
    assert 22 < ratio_db.max() <= 25 + 1e-3


def test_each_clip_draws_its_own_change_by_its_id_alone() -> None:
    adversary = augmentation(kind="speed", factors=[0.8, 1.25])
    clean = clean_pass(noise(12, SAMPLES))
    together = adversary.perturb(clean)
    ids = clean.clip_ids.flip(0)
    turned = adversary.perturb(dataclasses.replace(clean, audio=clean.audio.flip(0), clip_ids=ids))
    torch.testing.assert_close(turned.flip(0), together)
    lengthened = (
        together[:, :100] - transformed(clean.audio, kind="speed", factors=[0.8])[:, :100]
    ).abs().amax(1) < 1e-5
    assert 0 < int(lengthened.sum()) < 12
