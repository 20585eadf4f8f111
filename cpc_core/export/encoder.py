"""Encoder of an export, for recordings of any length, rate and number of channels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cpc_core.audio.reading import read_blocks
from cpc_core.audio.resampling import resampled, usable_rate
from cpc_core.errors import AudioError
from cpc_core.evaluation.features import pooled
from cpc_core.export.cpc_model import CpcEncoder, Layer
from cpc_core.export.manifest import local_export
from cpc_core.export.reader import read_encoder
from cpc_core.geometry import SAMPLE_RATE_HZ
from cpc_core.storage_path import StoragePath

Audio = Tensor | NDArray[np.floating] | Sequence[float]
"""A recording in [-1, 1]: `[L]`, or `[channels, L]`."""

BATCH_SAMPLES = 16 * 10 * SAMPLE_RATE_HZ
"""Samples of a batch, its padding included; a longer recording is a batch of its own."""

PIECE_FRAMES = 1000
"""Frames of a long recording that are computed at a time: 20 s."""


@dataclass(frozen=True)
class Embedding:
    """Features of N recordings, each as if it had been alone.

    Attributes:
        frames: Contexts of each recording, `[T, D]`; of the chosen layer, where one was.
        times: Centre of each of its frames in seconds, `[T]`.
        short: True for a recording shorter than one frame, which was padded with zeros.
        hop_s: Seconds between frames.
    """

    frames: tuple[Tensor, ...]
    times: tuple[Tensor, ...]
    short: tuple[bool, ...]
    hop_s: float

    @property
    def lengths(self) -> tuple[int, ...]:
        """Frames of each recording."""
        return tuple(len(frames) for frames in self.frames)

    def mean(self) -> Tensor:
        """Mean over each recording's frames, `[N, D]`."""
        return torch.cat([pooled(frames[None], None, "mean") for frames in self.frames])

    def mean_std(self) -> Tensor:
        """Mean and standard deviation over each recording's frames, `[N, 2·D]`."""
        return torch.cat([pooled(frames[None], None, "mean_std") for frames in self.frames])


@dataclass(frozen=True)
class Block:
    """Consecutive frames of a recording that is read and embedded in bounded memory.

    Attributes:
        frames: Contexts, `[T, D]`.
        times: Centre of each frame in seconds from the recording's beginning, `[T]`.
    """

    frames: Tensor
    times: Tensor


class Encoder(nn.Module):
    """Encoder of an export: frozen and for inference, until `train()` thaws its weights.

    Args:
        model: The exported networks.
    """

    def __init__(self, model: CpcEncoder) -> None:
        super().__init__()
        self.model = model
        self.train(False)

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers that can be chosen: those of the encoder, latents last, then the contexts'."""
        contexts = len(self.model.future.layers)
        return (
            *(f"encoder.{number}" for number in range(len(self.model.encoder))),
            *(f"context.{number}" for number in range(contexts)),
        )

    def train(self, mode: bool = True) -> Encoder:
        """Thaws the weights, or freezes them again."""
        super().train(mode)
        self.requires_grad_(mode)
        return self

    def forward(
        self,
        audio: Audio | Sequence[Audio],
        sample_rate: int = SAMPLE_RATE_HZ,
        layer: str | None = None,
    ) -> Embedding:
        """Features of a recording or of several, mono or not, at any rate.

        Args:
            audio: A recording, or a list of them.
            sample_rate: Of all of them, in Hz.
            layer: One of `layers`; by default the contexts after the last one.

        Raises:
            AudioError: A recording is empty or not finite, or the rate is absurd.
            ValueError: There is no such layer.
        """
        if layer is not None and layer not in self.layers:
            raise ValueError(f"there is no layer {layer}: {', '.join(self.layers)}")
        several = (
            isinstance(audio, list | tuple) and audio and not isinstance(audio[0], int | float)
        )
        given = cast(list[Audio], list(audio) if several else [audio])
        clips = [_mono(each, sample_rate) for each in given]
        frames: list[Tensor] = [torch.empty(0)] * len(clips)
        with torch.inference_mode(not self.training):
            for batch in _batches(clips, self._shortest):
                for place, found in zip(batch, self._embed(clips, batch, layer), strict=True):
                    frames[place] = found
        hop, patch = self._geometry(layer)
        return Embedding(
            tuple(frames),
            tuple(_centres(0, len(each), hop, patch) for each in frames),
            tuple(len(clip) < self._shortest for clip in clips),
            hop / SAMPLE_RATE_HZ,
        )

    def stream(self, recording: str | Path) -> Iterator[Block]:
        """Contexts of a recording of any length in consecutive blocks, in bounded memory.

        Joined, they are those of the whole recording: what a frame depends on is finite, and is
        kept from one block to the next.

        Raises:
            AudioError: The recording cannot be read.
            ValueError: A norm over time needs the whole recording.
        """
        model, device = self.model, next(self.parameters()).device
        if model.whole:
            raise ValueError("with a norm over time, pieces are not those of the whole")
        pending, first, made = np.empty(0, np.float32), 0, 0
        blocks = (block.samples for block in read_blocks(Path(recording)))
        following: NDArray[np.float32] | None = next(blocks)
        while following is not None:
            pending = np.concatenate((pending, following))
            following = next(blocks, None)
            # `pending` begins at frame `first`; frames near its end wait for more of the recording.
            known = first + max(0, model.frames(len(pending)))
            until = known if following is None else known - model.margin
            if until > made:
                audio = torch.from_numpy(pending).to(device)
                yield from self._pieces(audio, made - first, until - first, first)
                made = until
            kept = max(0, made - model.margin)
            pending, first = pending[(kept - first) * model.hop :], kept
        if not made:
            found = self(torch.from_numpy(pending))
            yield Block(found.frames[0], found.times[0])

    def _pieces(self, audio: Tensor, begin: int, end: int, first: int) -> Iterator[Block]:
        """Frames [begin, end) of audio that begins at frame `first` of its recording."""
        pieces = self.model.pieces(audio, PIECE_FRAMES, begin, end)
        made = first + begin
        while True:
            # Around each piece alone: what happens between two of them is the caller's.
            with torch.inference_mode(not self.training):
                piece = next(pieces, None)
            if piece is None:
                return
            frames = piece["contexts"][0]
            yield Block(frames, _centres(made, len(frames), *self._geometry(None)))
            made += len(frames)

    def _embed(self, clips: list[Tensor], batch: list[int], layer: str | None) -> list[Tensor]:
        device = next(self.parameters()).device
        own = [clips[place] for place in batch]
        if len(own) == 1 and layer is None and len(own[0]) > BATCH_SAMPLES and not self.model.whole:
            pieces = self.model.pieces(own[0].to(device), PIECE_FRAMES)
            return [torch.cat([piece["contexts"][0] for piece in pieces])]
        lengths = torch.tensor([max(len(clip), self._shortest) for clip in own])
        padded = nn.utils.rnn.pad_sequence(own, batch_first=True)
        missing = int(lengths.max()) - padded.shape[1]
        audio = nn.functional.pad(padded, (0, missing)).to(device)
        found = self.model(audio, lengths.to(device))
        name = layer or "contexts"
        frames = self._frames(lengths, layer)
        return [each[:count] for each, count in zip(found[name], frames, strict=True)]

    @property
    def _shortest(self) -> int:
        """Samples of the shortest recording with a frame of its own."""
        return int(self.model.hop if self.model.same else self.model.patch)

    def _frames(self, lengths: Tensor, layer: str | None) -> list[int]:
        for each in self._layers_to(layer):
            lengths = each.frames(lengths)
        return [int(count) for count in lengths]

    def _geometry(self, layer: str | None) -> tuple[int, int]:
        """Samples between frames of a layer, and those that a frame covers in the encoder."""
        hop = patch = 1
        for each in self._layers_to(layer):
            patch += (each.conv.kernel_size[0] - 1) * hop
            hop *= each.conv.stride[0]
        return hop, hop if self.model.same else patch

    def _layers_to(self, layer: str | None) -> list[Layer]:
        """Layers of the encoder up to one of them, or all below the contexts."""
        kind, _, number = (layer or "context").partition(".")
        layers = cast(list[Layer], list(self.model.encoder))
        return layers[: int(number) + 1] if kind == "encoder" else layers


def load_encoder(export: str | Path | StoragePath) -> Encoder:
    """Encoder of an export; see `cpc_core.load`."""
    with local_export(export) as folder:
        return Encoder(read_encoder(folder))


def _mono(audio: Audio, rate: int) -> Tensor:
    """A recording as `[L]` at 16 kHz, resampled as imports do."""
    samples = torch.as_tensor(audio, dtype=torch.float32).detach()
    if samples.ndim == 2:
        samples = samples.mean(0)
    if samples.ndim != 1 or not len(samples):
        shape = "×".join(map(str, samples.shape)) or "a single number"
        raise AudioError(f"a recording is [L] or [channels, L] with samples in it, not {shape}")
    if not samples.isfinite().all():
        raise AudioError("a recording has samples that are not finite numbers")
    if rate == SAMPLE_RATE_HZ:
        return samples
    if not 2_000 <= rate <= 768_000:
        raise AudioError(f"a rate of {rate} Hz is not audio; 2000 to 768000 Hz are read")
    blocks = iter([(samples.cpu().numpy(), (), False)])
    parts = [block for block, _, _ in resampled(blocks, usable_rate(rate))]
    return torch.from_numpy(np.concatenate(parts))


def _batches(clips: list[Tensor], shortest: int) -> Iterator[list[int]]:
    """Places of recordings of similar lengths, as many as fit into a batch."""
    batch: list[int] = []
    for place in sorted(range(len(clips)), key=lambda each: len(clips[each])):
        length = max(shortest, len(clips[place]))
        if batch and (len(batch) + 1) * length > BATCH_SAMPLES:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _centres(first: int, count: int, hop: int, patch: int) -> Tensor:
    """Seconds of the centres of frames."""
    return (torch.arange(first, first + count) * hop + patch / 2) / SAMPLE_RATE_HZ
