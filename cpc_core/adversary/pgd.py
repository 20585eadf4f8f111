"""Attack by projected gradient steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from cpc_core.adversary.base import SizedAdversary, random_start

if TYPE_CHECKING:
    from torch import Tensor

    from cpc_core.clean_pass import CleanPass


class Pgd(SizedAdversary):
    """Several signed steps, each projected back onto the ε-ball (Madry et al., 2018)."""

    kind: Literal["pgd"] = "pgd"
    label: ClassVar[str] = "PGD"

    attack_steps: int = Field(default=3, ge=1)
    """Gradient steps of the attack."""

    relative_step: float = Field(default=0.5, gt=0)
    """Size of one step as a share of ε."""

    random_start: bool = True
    """Begin at a random start in the ε-ball instead of at the clean audio."""

    def perturb(self, clean: CleanPass) -> Tensor:
        """Audio x + δ after `attack_steps` gradients at x + δ, each step clipped to ‖δ‖∞ ≤ ε.

        The branch that receives the clean audio stays fixed.
        """
        audio, epsilon = clean.audio.detach(), self.size(clean)
        zero = audio.new_zeros(audio.shape)
        delta = random_start(clean, epsilon) if self.random_start else zero
        for _ in range(self.attack_steps):
            gradient = clean.gradient_at(audio + delta, self.branch)
            delta = (delta + self.relative_step * epsilon * gradient.sign()).clamp(
                -epsilon, epsilon
            )
        return audio + delta
