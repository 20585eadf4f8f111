"""Features of clips that a probe classifies: a trained model's, or a baseline's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Literal, Protocol

import torch
from torch import Tensor
from torchaudio.transforms import MelSpectrogram

from cpc_core.geometry import SAMPLE_RATE_HZ
from cpc_core.model.cpc_model import CpcModel
from cpc_core.objective.lengths import mean_own

Pooling = Literal["mean", "mean_std"]

MEL_BANDS, MEL_WINDOW, MEL_HOP = 64, 400, 160
"""Bands of the log-mel baseline, and samples of its windows (25 ms) and between them (10 ms)."""

QUIET = 1e-6
"""Power that is added before the logarithm, so that digital silence has one."""


class ClipFeatures(Protocol):
    """Features of whole clips."""

    @property
    def identity(self) -> str:
        """Text that is the same for the same features, and differs for others."""

    @property
    def device(self) -> torch.device:
        """Device on which classifiers of them are trained."""

    def __call__(self, audio: Tensor, samples: Tensor) -> Tensor:
        """Features `[N, D]` float32, on the CPU.

        Args:
            audio: `[N, L]` in [-1, 1], 16 kHz.
            samples: Own samples of each clip, behind which it is padded, `[N]`.
        """


class ModelFeatures:
    """Contexts or latents of a model, pooled over a clip's own frames.

    Args:
        model: A trained model, or one that is not.
        kind: `context`, both directions' contexts, D = 2·C_c; or `latent`, D = C.
        pooling: `mean`; or `mean_std`, the standard deviations beside it, and twice as many D.
        batch_size: Clips at a time.
    """

    def __init__(
        self,
        model: CpcModel,
        kind: Literal["context", "latent"],
        pooling: Pooling = "mean",
        batch_size: int = 32,
    ) -> None:
        self._model, self._kind, self._pooling = model, kind, pooling
        self._batch_size = batch_size

    @cached_property
    def identity(self) -> str:
        """A hash of the model's weights, and of its features of noise: they depend on the rest."""
        digest = hashlib.sha256()
        for name, weights in self._model.state_dict().items():
            digest.update(name.encode() + weights.cpu().numpy().tobytes())
        noise = torch.randn(1, SAMPLE_RATE_HZ, generator=torch.Generator().manual_seed(0)) / 10
        level = self(noise, torch.tensor([SAMPLE_RATE_HZ])).double().sum().item()
        return f"{digest.hexdigest()} {level:.4g} {self._kind} {self._pooling}"

    @property
    def device(self) -> torch.device:
        """The model's."""
        return next(self._model.parameters()).device

    @torch.no_grad()
    def __call__(self, audio: Tensor, samples: Tensor) -> Tensor:
        """Features `[N, D]`; zeros of a clip without a frame of its own."""
        parts = []
        for part, own in zip(
            audio.split(self._batch_size), samples.split(self._batch_size), strict=True
        ):
            padded = bool((own < part.shape[1]).any())
            features = self._model(part.to(self.device), own.to(self.device) if padded else None)
            vectors = features.contexts if self._kind == "context" else features.latents
            parts.append(pooled(vectors, features.frames, self._pooling).float().cpu())
        return torch.cat(parts)


class LogMelFeatures:
    """Logarithms of mel bands, pooled over the windows in a clip's own samples.

    Args:
        pooling: `mean`, D = 64; or `mean_std`, D = 128.
    """

    device = torch.device("cpu")

    def __init__(self, pooling: Pooling = "mean_std") -> None:
        self._pooling = pooling

    @property
    def identity(self) -> str:
        """The bands and windows, and what is pooled."""
        return f"logmel {MEL_BANDS} {MEL_WINDOW} {MEL_HOP} {QUIET} {self._pooling}"

    @torch.no_grad()
    def __call__(self, audio: Tensor, samples: Tensor) -> Tensor:
        """Features `[N, D]`; a clip shorter than a window is one window, with zeros behind it."""
        missing = max(0, MEL_WINDOW - audio.shape[1])
        bands = self._bands(torch.nn.functional.pad(audio, (0, missing)))
        windows = (samples.clamp_min(MEL_WINDOW) - MEL_WINDOW) // MEL_HOP + 1
        return pooled((bands + QUIET).log().transpose(1, 2), windows, self._pooling)

    @cached_property
    def _bands(self) -> MelSpectrogram:
        return MelSpectrogram(
            SAMPLE_RATE_HZ, n_fft=MEL_WINDOW, hop_length=MEL_HOP, n_mels=MEL_BANDS, center=False
        )


class JoinedFeatures:
    """Features of several kinds beside each other.

    Attributes:
        parts: At least one.
    """

    def __init__(self, parts: Sequence[ClipFeatures]) -> None:
        self.parts = parts

    @property
    def identity(self) -> str:
        """Those of the parts."""
        return " + ".join(part.identity for part in self.parts)

    @property
    def device(self) -> torch.device:
        """The first part's."""
        return self.parts[0].device

    def __call__(self, audio: Tensor, samples: Tensor) -> Tensor:
        """Features `[N, D]`, D being the sum of the parts'."""
        return torch.cat([part(audio, samples) for part in self.parts], dim=1)


def pooled(vectors: Tensor, frames: Tensor | None, pooling: Pooling) -> Tensor:
    """Mean over each clip's own frames, `[B, D]`; or beside the standard deviation, `[B, 2·D]`.

    Args:
        vectors: Features, `[B, T, D]`.
        frames: Own frames of each clip, `[B]`; None where all are full.
        pooling: See `ProbeConfig`.
    """
    mean = mean_own(vectors, frames)
    if pooling == "mean":
        return mean
    squares = mean_own((vectors - mean.unsqueeze(1)).square(), frames)
    return torch.cat((mean, squares.sqrt()), dim=-1)
