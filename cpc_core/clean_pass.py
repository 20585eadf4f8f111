"""The clean half of Algorithm 1: forward pass and the gradients that an adversary asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from cpc_core.config import EpsilonReference
from cpc_core.model.cpc_model import CpcModel
from cpc_core.objective.objective import ObjectiveResult, own_clips

Branch = Literal["future", "past", "both"]


@dataclass(frozen=True, eq=False)
class CleanPass:
    """The first half of Algorithm 1: z = f(x), c = g(z) and z̃ ~ z, of a batch.

    Attributes:
        model: f, g and the objective.
        audio: x, `[B, L]`; requires a gradient where the adversary uses one.
        latents: z, `[B, T, C]`, in the graph of `audio`.
        contexts: c of both directions, in the graph of `audio`.
        negatives: Flat positions in the pool, `[2, K, B, T, n]`.
        gather: Makes the pool of embedded latents; see `Objective`.
        clip_ids: `[B]`.
        seed: The trial's seed.
        step: Optimizer step, from 0.
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

    @classmethod
    def over(
        cls,
        model: CpcModel,
        audio: Tensor,
        negatives: Tensor,
        clip_ids: Tensor,
        *,
        seed: int,
        step: int,
        gather: Callable[[Tensor], Tensor] = own_clips,
    ) -> CleanPass:
        """Computes z and c of `audio`; the arguments are the attributes."""
        latents = model.encode(audio)
        return cls(
            model,
            audio,
            latents,
            model.contextualise(latents),
            negatives,
            gather,
            clip_ids,
            seed,
            step,
        )

    @cached_property
    def result(self) -> ObjectiveResult:
        """L(c, z, z̃, τ), computed once."""
        return self.objective(self.contexts, self.latents, self.negatives)

    def objective(
        self, contexts: tuple[Tensor, Tensor], latents: Tensor, negatives: Tensor
    ) -> ObjectiveResult:
        """L of any contexts, latents and negatives, over the same pool."""
        result: ObjectiveResult = self.model.objective(contexts, latents, negatives, self.gather)
        return result

    def views(self, point: Tensor, branch: Branch) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Contexts and latents when `branch` hears the audio `point` `[B, L]` and the other side
        the clean audio.
        """
        heard = self.model.encode(point)
        match branch:
            case "future":
                return self.contexts, heard
            case "past":
                return self.model.contextualise(heard), self.latents
            case "both":
                return self.model.contextualise(heard), heard

    def gradient_at(self, point: Tensor, branch: Branch) -> Tensor:
        """∂L/∂x through what `branch` hears, at the audio `point` `[B, L]`, with the clean pass's
        negatives.
        """
        point = point.detach().requires_grad_()
        return input_gradient(
            self.objective(*self.views(point, branch), self.negatives).loss, point
        )


def input_gradient(loss: Tensor, audio: Tensor, *, keep_graph: bool = False) -> Tensor:
    """∂loss/∂audio alone: asking for nothing else spares every weight's gradient, and leaves none
    on the weights.
    """
    with torch.autocast(audio.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(loss, audio, retain_graph=keep_graph)
    return gradient


def reference_amplitude(audio: Tensor, reference: EpsilonReference) -> Tensor:
    """The amplitude that 0 dB stands for, `[B, 1]`, of audio `[B, L]`."""
    match reference:
        case "full_scale":
            return torch.ones_like(audio[:, :1])
        case "clip_peak":
            return audio.abs().amax(dim=1, keepdim=True)
        case "clip_rms":
            return audio.square().mean(dim=1, keepdim=True).sqrt()
