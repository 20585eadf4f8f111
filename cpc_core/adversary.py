"""The adversary (section 2.3): small perturbations of the audio that make the predictive tasks harder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cpc_core.config import FgsmAdversary, GaussianAdversary, NoAdversary, PgdAdversary
from cpc_core.draws import Key, Purpose, normal, uniform


@dataclass(frozen=True)
class CleanPass:
    """The first half of Algorithm 1, as the adversary sees it.

    Attributes:
        audio: x, `[B, L]`; requires a gradient where the adversary uses one.
        latents: z = f(x), `[B, T, C]`, in the graph of `audio`.
        encode: f.
        loss: L(c, ·, z̃, τ) as a function of the latents, with the clean contexts c and negatives drawn from its argument.
        clip_ids: `[B]`.
        seed: The trial's seed.
        step: Optimizer step, from 0.
    """

    audio: Tensor
    latents: Tensor
    encode: Callable[[Tensor], Tensor]
    loss: Callable[[Tensor], Tensor]
    clip_ids: Tensor
    seed: int
    step: int


class Adversary(Protocol):
    """Makes a perturbed copy of the audio, or declines."""

    needs_gradient: bool

    def perturb(self, clean: CleanPass) -> Tensor | None:
        """Perturbed audio `[B, L]` without a graph, or None to train on the clean latents."""
        ...


class Clean:
    """No perturbation: the latents of the first pass are the targets."""

    needs_gradient = False

    def perturb(self, clean: CleanPass) -> None:
        """Declines."""


@dataclass(frozen=True)
class _Sized:
    """A perturbation of size ε, which grows linearly over the first `warmup_steps` steps."""

    epsilon: float
    warmup_steps: int = 0

    def size(self, step: int) -> float:
        """ε at an optimizer step, counted from 0."""
        return self.epsilon * min(1.0, (step + 1) / (self.warmup_steps + 1))


@dataclass(frozen=True)
class Gaussian(_Sized):
    """Additive white noise of standard deviation ε (Table 1, last row)."""

    needs_gradient = False

    def perturb(self, clean: CleanPass) -> Tensor:
        """X + ε·n, n standard normal and keyed by (seed, step, clip)."""
        noise = normal(Key(clean.seed, clean.step, Purpose.NOISE), clean.clip_ids, clean.audio.shape[1:])
        return clean.audio.detach() + self.size(clean.step) * noise


@dataclass(frozen=True)
class Fgsm(_Sized):
    """Eq. 3: x + ε·sign(∇ₓL). The gradient runs through both the latents and the contexts."""

    needs_gradient = True

    def perturb(self, clean: CleanPass) -> Tensor:
        """One backward pass for ∂L/∂x alone; the clean graph is kept, because the update reuses its contexts."""
        (gradient,) = torch.autograd.grad(clean.loss(clean.latents), clean.audio, retain_graph=True)
        return clean.audio.detach() + self.size(clean.step) * gradient.sign()


@dataclass(frozen=True, kw_only=True)
class Pgd(_Sized):
    """Projected signed gradient steps (Madry et al., 2018) on the targets, with the contexts held at the clean ones."""

    attack_steps: int
    relative_step: float
    random_start: bool
    needs_gradient = True

    def perturb(self, clean: CleanPass) -> Tensor:
        """`attack_steps` gradients of the loss at the moving point, each step projected back onto ‖δ‖∞ ≤ ε."""
        origin, epsilon = clean.audio.detach(), self.size(clean.step)
        delta = torch.zeros_like(origin)
        if self.random_start:
            start = uniform(Key(clean.seed, clean.step, Purpose.ATTACK_START), clean.clip_ids, origin.shape[1:])
            delta = epsilon * (2 * start - 1)
        for _ in range(self.attack_steps):
            point = (origin + delta).requires_grad_()
            (gradient,) = torch.autograd.grad(clean.loss(clean.encode(point)), point, retain_graph=True)
            delta = (delta + self.relative_step * epsilon * gradient.sign()).clamp(-epsilon, epsilon)
        return origin + delta


def build_adversary(config: NoAdversary | GaussianAdversary | FgsmAdversary | PgdAdversary) -> Adversary:
    """The configured adversary."""
    match config:
        case NoAdversary():
            return Clean()
        case GaussianAdversary():
            return Gaussian(config.epsilon, config.warmup_steps)
        case FgsmAdversary():
            return Fgsm(config.epsilon, config.warmup_steps)
        case PgdAdversary():
            return Pgd(
                epsilon=config.epsilon,
                warmup_steps=config.warmup_steps,
                attack_steps=config.attack_steps,
                relative_step=config.relative_step,
                random_start=config.random_start,
            )
