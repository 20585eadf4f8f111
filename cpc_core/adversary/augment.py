"""Augmentation baselines by torchaudio, the alternative that the paper names (section 1)."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from cpc_core.adversary.base import Perturbation
from cpc_core.geometry import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from torch import Tensor

    from cpc_core.clean_pass import CleanPass

RATE_GRID_HZ = 100
"""Grid of resampling rates, which moves a pitch by at most a twentieth of a semitone. Coprime rates
would need a filter for each of 16 000 phases, a gigabyte.
"""


class Augmentation(Perturbation):
    """One transformation out of a few, drawn for each clip."""

    additive: ClassVar[bool] = False

    @property
    @abstractmethod
    def choices(self) -> tuple[float, ...]:
        """Transformations to draw from."""

    @abstractmethod
    def transform(self, audio: Tensor, choice: float) -> Tensor:
        """Transforms audio `[N, L]` to `[N, L']`."""

    def perturb(self, clean: CleanPass) -> Tensor:
        """Each clip transformed by its own choice, at its old length."""
        import torch

        audio, lengths = clean.audio.detach(), clean.own_samples
        drawn = clean.integers("augmentation", (), len(self.choices))
        changed = audio.clone()
        for index, choice in enumerate(self.choices):
            for own in lengths[drawn == index].unique().tolist():
                rows = ((drawn == index) & (lengths == own)).nonzero().squeeze(1)
                # Autocast would filter the audio itself in bfloat16.
                with torch.autocast(audio.device.type, enabled=False):
                    changed[rows, :own] = _fitted(self.transform(audio[rows, :own], choice), own)
        return changed


class SpeedChange(Augmentation):
    """Plays each clip faster or slower, pitch included, at its length: an augmentation baseline."""

    kind: Literal["speed"] = "speed"
    label: ClassVar[str] = "speed change"

    branch: Literal["both"] = "both"
    """Contexts and targets receive the same audio. Time is stretched: frames would not match
    otherwise.
    """

    factors: tuple[Annotated[float, Field(ge=0.5, le=2)], ...] = Field(
        default=(0.9, 1.0, 1.1), min_length=1
    )
    """Speeds, one drawn for each clip: the three of common speed perturbation."""

    @property
    def choices(self) -> tuple[float, ...]:
        """The factors."""
        return self.factors

    def transform(self, audio: Tensor, choice: float) -> Tensor:
        """Resamples audio to `choice` times its speed."""
        from torchaudio.functional import resample

        return resample(audio, _on_grid(SAMPLE_RATE_HZ * choice), SAMPLE_RATE_HZ)  # type: ignore[no-any-return]


class PitchShift(Augmentation):
    """Raises or lowers each clip's pitch at its tempo: an augmentation baseline."""

    kind: Literal["pitch"] = "pitch"
    label: ClassVar[str] = "pitch shift"

    semitones: tuple[Annotated[float, Field(ge=-12, le=12)], ...] = Field(
        default=(-2.0, -1.0, 0.0, 1.0, 2.0), min_length=1
    )
    """Shifts in semitones, one drawn for each clip."""

    @property
    def choices(self) -> tuple[float, ...]:
        """The shifts."""
        return self.semitones

    def transform(self, audio: Tensor, choice: float) -> Tensor:
        """Stretches time by a phase vocoder and undoes it by resampling."""
        import torch
        from torchaudio.functional import phase_vocoder, resample

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
    """The first `samples` samples, repeated from the beginning where there are fewer."""
    return audio.repeat(1, -(-samples // audio.shape[1]))[:, :samples]
