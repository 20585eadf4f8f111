"""Whole model: encoder, two context networks, predictors and the similarity's projection."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cpc_core.config import CpcConfig
from cpc_core.model.context import build_context
from cpc_core.model.encoder import Encoder
from cpc_core.model.layers import draw_plain, run, run_checkpointed, run_in_chunks
from cpc_core.objective.lengths import keep_own, own_frames, reverse
from cpc_core.objective.objective import Objective


@dataclass(frozen=True)
class Features:
    """Features of clips.

    Attributes:
        latents: z, `[B, T, C]`.
        contexts: Past → future beside future → past, both in forward time, `[B, T, 2·C_c]`.
        frames: Own frames of each clip, `[B]`, behind which both are zero; None where all are full.
    """

    latents: Tensor
    contexts: Tensor
    frames: Tensor | None = None


class CpcModel(nn.Module):
    """CPC in both directions (section 3.1). Weights are drawn from the configuration's seed alone.

    Args:
        config: The trial's configuration; each part receives its section alone.
    """

    def __init__(self, config: CpcConfig) -> None:
        super().__init__()
        width, self.geometry = config.encoder.width, config.geometry
        self.clips_per_pass = config.compute.clips_per_pass
        with torch.random.fork_rng(devices=[]):
            parts = _seeded_parts(config.seed)
            next(parts)
            self.encoder = Encoder(
                config.encoder, run_checkpointed if config.compute.checkpoint_layers else run
            )
            next(parts)
            self.future_context = build_context(width, config.context)
            next(parts)
            self.past_context = build_context(width, config.context)
            next(parts)
            similarity = config.similarity.embedding(width)
            next(parts)
            self.objective = Objective(
                config.context.channels(width), width, similarity, config.objective
            )
            if config.initialisation.kind == "plain":
                drawn = (
                    self.encoder,
                    self.future_context,
                    self.past_context,
                    similarity,
                    self.objective.predictors,
                )
                for part, _ in zip(drawn, _seeded_parts(config.seed), strict=False):
                    draw_plain(part)

    def encode(self, audio: Tensor, samples: Tensor | None = None) -> Tensor:
        """Latents `[B, T, C]` of audio `[B, L]` in [-1, 1] at 16 kHz.

        Where `samples` `[B]` names each clip's own samples, its first latents are those of the clip
        alone, and zeros follow.
        """
        return run_in_chunks(self.encoder, audio, samples, self.clips_per_pass)

    def contextualise(self, latents: Tensor, frames: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Contexts `[B, T, C_c]` of latents `[B, T, C]`; future → past is in reversed time.

        Where `frames` `[B]` names each clip's own frames, time is reversed within them, and
        contexts behind them have no meaning.
        """
        return (
            run_in_chunks(self.future_context, latents, frames, self.clips_per_pass),
            run_in_chunks(self.past_context, reverse(latents, frames), frames, self.clips_per_pass),
        )

    def forward(self, audio: Tensor, samples: Tensor | None = None) -> Features:
        """Features of audio `[B, L]` in [-1, 1] at 16 kHz, of `samples` `[B]` each where given."""
        latents = self.encode(audio, samples)
        frames = None if samples is None else own_frames(self.geometry, samples)
        future, past = self.contextualise(latents, frames)
        contexts = torch.cat((future, reverse(past, frames)), dim=-1)
        return Features(latents, keep_own(contexts, frames), frames)


def _seeded_parts(seed: int) -> Iterator[None]:
    """Seeds each part by itself: two cells share the first weights of the parts that both have."""
    for part in itertools.count():
        torch.manual_seed((seed << 4) + part)
        yield
