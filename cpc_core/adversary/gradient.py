"""Attacks along the sign of the gradient ∂L/∂x, computed for the audio alone."""

from __future__ import annotations

import torch
from torch import Tensor

from cpc_core.adversary.sized import Sized, uniform_start
from cpc_core.clean_pass import CleanPass, input_gradient
from cpc_core.config import FgsmAdversary, FreeAdversary, PgdAdversary, RandomStartFgsmAdversary


class Fgsm(Sized[FgsmAdversary]):
    """Eq. 3: the fast gradient sign method."""

    needs_gradient = True

    def perturb(self, clean: CleanPass) -> Tensor:
        """Answers x + ε · sign(∇ₓL); the clean graph is kept, because the update reuses its
        contexts.
        """
        gradient = input_gradient(clean.result.loss, clean.audio, keep_graph=True)
        return clean.audio.detach() + self.size(clean) * gradient.sign()


class RandomStartFgsm(Sized[RandomStartFgsmAdversary]):
    """One step from a uniform point of the ε-ball (Wong, Rice and Kolter, 2020): FGSM that does not
    learn to expect itself.
    """

    def perturb(self, clean: CleanPass) -> Tensor:
        """Answers x + clip(δ₀ + relative_step · ε · sign(∇L at x + δ₀)), δ₀ uniform."""
        origin, epsilon = clean.audio.detach(), self.size(clean)
        start = uniform_start(clean, epsilon)
        gradient = clean.gradient_at(origin + start, self.branch)
        return origin + (start + self.config.relative_step * epsilon * gradient.sign()).clamp(
            -epsilon, epsilon
        )


class Pgd(Sized[PgdAdversary]):
    """Projected gradient steps (Madry et al., 2018), with the side that hears the clean audio
    held.
    """

    def perturb(self, clean: CleanPass) -> Tensor:
        """`attack_steps` gradients of the loss at the moving point, each step projected back onto
        ‖δ‖∞ ≤ ε.
        """
        origin, epsilon = clean.audio.detach(), self.size(clean)
        delta = (
            uniform_start(clean, epsilon) if self.config.random_start else torch.zeros_like(origin)
        )
        for _ in range(self.config.attack_steps):
            gradient = clean.gradient_at(origin + delta, self.branch)
            delta = (delta + self.config.relative_step * epsilon * gradient.sign()).clamp(
                -epsilon, epsilon
            )
        return origin + delta


class Free(Sized[FreeAdversary]):
    """Free adversarial training (Shafahi et al., 2019): several updates on a batch, each giving the
    next one's perturbation.

    The perturbation starts at zero for each batch; the original keeps the last batch's, which
    belongs to other clips here.
    """

    def __init__(self, config: FreeAdversary) -> None:
        super().__init__(config)
        self._delta = self._epsilon = torch.empty(0)

    def perturb(self, clean: CleanPass) -> Tensor:
        """Answers x + δ, as a leaf that the update's backward pass leaves its gradient on."""
        self._epsilon = self.size(clean)
        if clean.step % self.config.replays == 0:
            self._delta = torch.zeros_like(clean.audio)
        return (clean.audio.detach() + self._delta).requires_grad_()

    def after_update(self, perturbed: Tensor) -> None:
        """δ ← clip(δ + ε · sign(∇L)), with the gradient that the update computed on its way."""
        assert perturbed.grad is not None
        self._delta = (self._delta + self._epsilon * perturbed.grad.sign()).clamp(
            -self._epsilon, self._epsilon
        )
