"""Clean half of Algorithm 1: forward pass, and gradients and random numbers for an adversary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from cpc_core.adversary.base import Branch, EpsilonReference
from cpc_core.model.convolution import input_gradients_only
from cpc_core.model.cpc_model import CpcModel
from cpc_core.objective.lengths import FULL, Lengths, keep_own, mean_own
from cpc_core.objective.objective import ObjectiveResult, own_clips
from cpc_core.stateless_random import Key, Purpose, normal, uniform, uniform_integers


@dataclass(frozen=True, eq=False)
class CleanPass:
    """First half of Algorithm 1: z = f(x), c = g(z) and z̃ ~ z, of a batch.

    Attributes:
        model: f, g and the objective.
        audio: x, `[B, L]`; requires a gradient where the adversary uses one.
        latents: z, `[B, T, C]`, in the graph of `audio`.
        contexts: c of both directions, in the graph of `audio`.
        negatives: Flat positions among the gathered clips, `[2, K, B, T, n]`.
        gather: Returns the embedded latents that negatives index; see `Objective`.
        clip_ids: `[B]`.
        seed: The trial's seed.
        step: Optimizer step, from 0.
        lengths: Own samples and frames of the clips.
    """

    model: CpcModel
    audio: Tensor
    latents: Tensor
    contexts: tuple[Tensor, Tensor]
    negatives: Tensor
    gather: Callable[[Tensor], Tensor]
    clip_ids: Tensor
    seed: int
    step: int
    lengths: Lengths = FULL

    @classmethod
    def compute(
        cls,
        model: CpcModel,
        audio: Tensor,
        negatives: Tensor,
        clip_ids: Tensor,
        *,
        seed: int,
        step: int,
        gather: Callable[[Tensor], Tensor] = own_clips,
        lengths: Lengths = FULL,
    ) -> CleanPass:
        """Computes z and c of `audio`; the arguments are the attributes."""
        latents = model.encode(audio, lengths.samples)
        return cls(
            model,
            audio,
            latents,
            model.contextualise(latents, lengths.frames),
            negatives,
            gather,
            clip_ids,
            seed,
            step,
            lengths,
        )

    @property
    def own_samples(self) -> Tensor:
        """Samples of each clip before its padding, `[B]` int64."""
        clips, samples = self.audio.shape
        own = self.lengths.samples
        return self.clip_ids.new_full((clips,), samples) if own is None else own

    @cached_property
    def result(self) -> ObjectiveResult:
        """L(c, z, z̃, τ), computed once."""
        return self.objective(self.contexts, self.latents, self.negatives)

    def objective(
        self, contexts: tuple[Tensor, Tensor], latents: Tensor, negatives: Tensor
    ) -> ObjectiveResult:
        """L of any contexts, latents and negatives, over the same gathered clips."""
        result: ObjectiveResult = self.model.objective(
            contexts, latents, negatives, self.gather, self.lengths
        )
        return result

    def views(self, point: Tensor, branch: Branch) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Contexts and latents of audio `point` `[B, L]` on `branch`, of clean audio elsewhere."""
        moved = self.model.encode(point, self.lengths.samples)
        if branch == "future":
            return self.contexts, moved
        contexts = self.model.contextualise(moved, self.lengths.frames)
        return contexts, moved if branch == "both" else self.latents

    def gradient_at(self, point: Tensor, branch: Branch) -> Tensor:
        """∂L/∂x through `branch` at the audio `point` `[B, L]`, with the clean negatives."""
        point = point.detach().requires_grad_()
        return _gradient(self.objective(*self.views(point, branch), self.negatives).loss, point)

    def input_gradient(self) -> Tensor:
        """∂L/∂x at the clean audio, `[B, L]`; its graph stays, because the update reuses c."""
        return _gradient(self.result.loss, self.audio, keep_graph=True)

    def amplitude(self, reference: EpsilonReference) -> Tensor:
        """Amplitude of 0 dB in each clip, `[B, 1]`."""
        audio = self.audio.detach()
        match reference:
            case "full_scale":
                return torch.ones_like(audio[:, :1])
            case "clip_peak":
                return keep_own(audio, self.lengths.samples).abs().amax(dim=1, keepdim=True)
            case "clip_rms":
                return mean_own(audio.square(), self.lengths.samples).unsqueeze(1).sqrt()

    def uniform(self, purpose: str, shape: Sequence[int]) -> Tensor:
        """Random numbers in [0, 1) for each clip, `[B, *shape]` float32.

        Args:
            purpose: Name of a `Purpose`, in lower case.
            shape: Shape of one clip's numbers.
        """
        return uniform(self._key(purpose), self.clip_ids, shape)

    def normal(self, purpose: str, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers for each clip, `[B, *shape]` in the audio's precision."""
        return normal(self._key(purpose), self.clip_ids, shape).to(self.audio)

    def integers(self, purpose: str, shape: Sequence[int], high: int) -> Tensor:
        """Random integers in [0, high) for each clip, `[B, *shape]` int64."""
        return uniform_integers(self._key(purpose), self.clip_ids, shape, high)

    def _key(self, purpose: str) -> Key:
        return Key(self.seed, self.step, Purpose[purpose.upper()])


def _gradient(loss: Tensor, audio: Tensor, *, keep_graph: bool = False) -> Tensor:
    """∂loss/∂audio alone: no weight's gradient is computed, and none is left on the weights."""
    with torch.autocast(audio.device.type, enabled=False), input_gradients_only():
        (gradient,) = torch.autograd.grad(loss, audio, retain_graph=keep_graph)
    return gradient
