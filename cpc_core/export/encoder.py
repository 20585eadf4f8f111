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

LATENTS, CONTEXTS = "latents", "contexts"
"""Names of the last layers."""

BATCH_SAMPLES = 20 * SAMPLE_RATE_HZ
"""Samples of a batch, its padding included; a longer recording is a batch of its own.

At width 512 it takes 0.4 GiB, and one of 160 s 3.2 GiB without being faster on a CPU.
"""

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
        frames: Contexts, or features of the chosen layer, `[T, D]`.
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

    def dims(self, layer: str = CONTEXTS) -> int:
        """Numbers in a frame of a layer."""
        if layer == LATENTS or layer.startswith("encoder."):
            return int(self._layers_to(layer)[-1].conv.out_channels)
        contexts = (self.model.future, self.model.past)
        number = -1 if layer == CONTEXTS else int(layer.partition(".")[2])
        return sum(int(cast(Layer, part.layers[number]).conv.out_channels) for part in contexts)

    def hop_s(self, layer: str = CONTEXTS) -> float:
        """Seconds between frames of a layer."""
        return self._geometry(layer)[0] / SAMPLE_RATE_HZ

    def frame_s(self, layer: str = CONTEXTS) -> float:
        """Seconds of the audio that a frame of a layer covers in the encoder."""
        return self._geometry(layer)[1] / SAMPLE_RATE_HZ

    def train(self, mode: bool = True) -> Encoder:
        """Thaws the weights, or freezes them again."""
        super().train(mode)
        self.requires_grad_(mode)
        return self

    def forward(
        self,
        audio: Audio | Sequence[Audio],
        sample_rate: int = SAMPLE_RATE_HZ,
        layer: str = CONTEXTS,
    ) -> Embedding:
        """Features of a recording or of several, mono or not, at any rate.

        Args:
            audio: A recording, or a list of them.
            sample_rate: Of all of them, in Hz.
            layer: One of `layers`, `latents` or `contexts`: what the last layer of the encoder, or
                of the context networks, gives.

        Raises:
            AudioError: A recording is empty or not finite, or the rate is absurd.
            ValueError: There is no such layer.
        """
        self._require(layer)
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

    def stream(self, recording: str | Path, layer: str = CONTEXTS) -> Iterator[Block]:
        """Features of a recording of any length in consecutive blocks, in bounded memory.

        Joined, they are those of the whole recording: what a frame depends on is finite, and is
        kept from one block to the next.

        Raises:
            AudioError: The recording cannot be read.
            ValueError: There is no such layer, or a norm over time needs the whole recording.
        """
        return self.stream_samples((block.samples for block in read_blocks(Path(recording))), layer)

    def stream_samples(
        self, blocks: Iterator[NDArray[np.float32]], layer: str = CONTEXTS
    ) -> Iterator[Block]:
        """Features of a recording that comes in consecutive blocks `[L]` at 16 kHz; see `stream`.

        Raises:
            ValueError: As `stream`.
        """
        self._require(layer)
        model, device = self.model, next(self.parameters()).device
        if model.whole:
            raise ValueError("with a norm over time, pieces are not those of the whole")
        pending, first, made = np.empty(0, np.float32), 0, 0
        following: NDArray[np.float32] | None = next(blocks)
        while following is not None:
            pending = np.concatenate((pending, following))
            following = next(blocks, None)
            # `pending` begins at frame `first`; frames near its end wait for more of the recording.
            known = first + max(0, model.frames(len(pending)))
            until = known if following is None else known - model.margin
            if until > made:
                audio = torch.from_numpy(pending).to(device)
                end = None if following is None else until - first
                yield from self._pieces(audio, layer, made - first, end, first)
                made = until
            kept = max(0, made - model.margin)
            pending, first = pending[(kept - first) * model.hop :], kept
        if not made:
            found = self(torch.from_numpy(pending), layer=layer)
            yield Block(found.frames[0], found.times[0])

    def _pieces(
        self, audio: Tensor, layer: str, begin: int, end: int | None, first: int
    ) -> Iterator[Block]:
        """Frames [begin, end) of audio that begins at frame `first` of its recording."""
        pieces = self.model.pieces(audio, PIECE_FRAMES, begin, end, layer)
        made = (first + begin) * self.model.rates.get(layer, 1)
        while True:
            # Around each piece alone: what happens between two of them is the caller's.
            with torch.inference_mode(not self.training):
                piece = next(pieces, None)
            if piece is None:
                return
            frames = piece[layer][0]
            yield Block(frames, _centres(made, len(frames), *self._geometry(layer)))
            made += len(frames)

    def _require(self, layer: str) -> None:
        """Raises ValueError where there is no such layer."""
        if layer not in (*self.layers, LATENTS, CONTEXTS):
            raise ValueError(
                f"there is no layer {layer}: {', '.join((*self.layers, LATENTS, CONTEXTS))}"
            )

    def _embed(self, clips: list[Tensor], batch: list[int], layer: str) -> list[Tensor]:
        device = next(self.parameters()).device
        own = [clips[place] for place in batch]
        if len(own) == 1 and len(own[0]) > BATCH_SAMPLES and not self.model.whole:
            return [self._long(own[0].to(device), layer)]
        lengths = torch.tensor([max(len(clip), self._shortest) for clip in own])
        padded = nn.utils.rnn.pad_sequence(own, batch_first=True)
        missing = int(lengths.max()) - padded.shape[1]
        audio = nn.functional.pad(padded, (0, missing)).to(device)
        found = self.model(audio, lengths.to(device))[layer]
        frames = self._frames(lengths, layer)
        return [each[:count] for each, count in zip(found, frames, strict=True)]

    def _long(self, audio: Tensor, layer: str) -> Tensor:
        """Frames `[T, D]` of a long recording, of which each piece is computed for itself."""
        (count,) = self._frames(torch.tensor([len(audio)]), layer)
        pieces = self.model.pieces(audio, PIECE_FRAMES, 0, None, layer)
        if torch.is_grad_enabled():
            return torch.cat([piece[layer][0] for piece in pieces])
        frames, made = audio.new_empty(count, self.dims(layer)), 0
        for piece in pieces:  # Joined at the end, they would be there twice.
            part = piece[layer][0]
            frames[made : made + len(part)] = part
            made += len(part)
        return frames

    @property
    def _shortest(self) -> int:
        """Samples of the shortest recording with a frame of its own."""
        return int(self.model.hop if self.model.same else self.model.patch)

    def _frames(self, lengths: Tensor, layer: str) -> list[int]:
        for each in self._layers_to(layer):
            lengths = each.frames(lengths)
        return [int(count) for count in lengths]

    def _geometry(self, layer: str) -> tuple[int, int]:
        """Samples between frames of a layer, and those that a frame covers in the encoder."""
        hop = patch = 1
        for each in self._layers_to(layer):
            patch += (each.conv.kernel_size[0] - 1) * hop
            hop *= each.conv.stride[0]
        return hop, hop if self.model.same else patch

    def _layers_to(self, layer: str) -> list[Layer]:
        """Layers of the encoder up to one of them, or all below the contexts."""
        kind, _, number = layer.partition(".")
        layers = cast(list[Layer], list(self.model.encoder))
        return layers[: int(number) + 1] if kind == "encoder" else layers


def load_encoder(model: str | Path | StoragePath) -> Encoder:
    """Encoder of a trained model; see `cpc_core.load`."""
    with local_export(model) as folder:
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
