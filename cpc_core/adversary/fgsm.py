"""Attacks by one signed gradient step."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import ConfigDict, Field

from cpc_core.adversary.base import SizedAdversary, random_start

if TYPE_CHECKING:
    from torch import Tensor

    from cpc_core.clean_pass import CleanPass


class Fgsm(SizedAdversary):
    """Eq. 3: x + ε · sign(∇ₓL), one extra backward pass (Goodfellow et al., 2015)."""

    model_config = ConfigDict(json_schema_extra={"paper": "Eq. 3"})

    kind: Literal["fgsm"] = "fgsm"
    label: ClassVar[str] = "FGSM"
    needs_gradient: ClassVar[bool] = True

    def perturb(self, clean: CleanPass) -> Tensor:
        """Audio x + ε · sign(∇ₓL)."""
        return clean.audio.detach() + self.size(clean) * clean.input_gradient().sign()


class RandomStartFgsm(SizedAdversary):
    """One signed step from a random start in the ε-ball, projected back onto it (Wong et al.,
    2020).

    FGSM trained on its own step alone learns to expect it.
    """

    kind: Literal["rs_fgsm"] = "rs_fgsm"
    label: ClassVar[str] = "random-start FGSM"

    relative_step: float = Field(default=1.25, gt=0)
    """Size of the step as a share of ε (Wong et al.: 1.25)."""

    def perturb(self, clean: CleanPass) -> Tensor:
        """Audio x + clip(δ₀ + relative_step · ε · sign(∇L at x + δ₀)), δ₀ uniform."""
        audio, epsilon = clean.audio.detach(), self.size(clean)
        start = random_start(clean, epsilon)
        step = self.relative_step * epsilon * clean.gradient_at(audio + start, self.branch).sign()
        return audio + (start + step).clamp(-epsilon, epsilon)
