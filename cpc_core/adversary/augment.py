"""The hand-made augmentations that the paper names as the alternative to its adversary (section 1),
by torchaudio.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor
from torchaudio.functional import phase_vocoder, resample

from cpc_core.adversary.base import Perturbing
from cpc_core.clean_pass import CleanPass
from cpc_core.config import PitchShift, SpeedChange
from cpc_core.geometry import SAMPLE_RATE_HZ
from cpc_core.stateless_random import Key, Purpose, uniform_integers

RATE_GRID_HZ = 100
"""Resampling rates are multiples of this: coprime ones would need a filter for each of 16 000
phases, a gigabyte. It moves a pitch by at most a twentieth of a semitone.
"""


class Augmentation(Perturbing[SpeedChange | PitchShift]):
    """One transformation out of a few, drawn for each clip."""

    additive = False

    def __init__(self, config: SpeedChange | PitchShift, choices: tuple[float, ...]) -> None:
        super().__init__(config)
        self.choices = choices

    def perturb(self, clean: CleanPass) -> Tensor:
        """Each clip transformed by its own choice, at its old length."""
        key = Key(clean.seed, clean.step, Purpose.AUGMENTATION)
        drawn = uniform_integers(key, clean.clip_ids, (), len(self.choices))
        changed = clean.audio.detach().clone()
        for index, choice in enumerate(self.choices):
            rows = (drawn == index).nonzero().squeeze(1)
            if not len(rows):
                continue
            # Autocast would filter the audio itself in bfloat16.
            with torch.autocast(clean.audio.device.type, enabled=False):
                changed[rows] = _fitted(
                    self.transform(clean.audio.detach()[rows], choice), clean.audio.shape[1]
                )
        return changed

    @abstractmethod
    def transform(self, audio: Tensor, choice: float) -> Tensor:
        """Transforms audio `[N, L]` to `[N, L']`."""


class Speed(Augmentation):
    """Faster or slower playback by resampling."""

    def __init__(self, config: SpeedChange) -> None:
        super().__init__(config, config.factors)

    def transform(self, audio: Tensor, choice: float) -> Tensor:
        """Plays `choice` times as fast."""
        return resample(audio, _on_grid(SAMPLE_RATE_HZ * choice), SAMPLE_RATE_HZ)  # type: ignore[no-any-return]


class Pitch(Augmentation):
    """A stretch of time by a phase vocoder, undone by resampling."""

    def __init__(self, config: PitchShift) -> None:
        super().__init__(config, config.semitones)

    def transform(self, audio: Tensor, choice: float) -> Tensor:
        """Shifts by `choice` semitones."""
        window, hop = 512, 128
        raised_hz = _on_grid(SAMPLE_RATE_HZ * 2 ** (choice / 12))
        if raised_hz == SAMPLE_RATE_HZ or audio.shape[1] < window:
            return audio
        taper = torch.hann_window(window, dtype=audio.dtype, device=audio.device)
        spectrum = torch.stft(audio, window, hop, window=taper, return_complex=True)
        advance = torch.linspace(
            0, math.pi * hop, window // 2 + 1, dtype=audio.dtype, device=audio.device
        ).unsqueeze(1)
        stretched = phase_vocoder(spectrum, SAMPLE_RATE_HZ / raised_hz, advance)
        length = round(audio.shape[1] * raised_hz / SAMPLE_RATE_HZ)
        raised = torch.istft(stretched, window, hop, window=taper, length=length)
        return resample(raised, raised_hz, SAMPLE_RATE_HZ)  # type: ignore[no-any-return]


def _on_grid(rate_hz: float) -> int:
    return round(rate_hz / RATE_GRID_HZ) * RATE_GRID_HZ


def _fitted(audio: Tensor, samples: int) -> Tensor:
    """The first `samples` samples, going on from the beginning where there are fewer."""
    return audio.repeat(1, -(-samples // audio.shape[1]))[:, :samples]
