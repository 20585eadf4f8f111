"""Attack by the gradient that the update computes anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr

from cpc_core.adversary.base import SizedAdversary

if TYPE_CHECKING:
    from torch import Tensor

    from cpc_core.clean_pass import CleanPass


class Free(SizedAdversary):
    """Free adversarial training (Shafahi et al., 2019): an update's gradient is the next attack's.

    The perturbation starts at zero for each batch; the original keeps the last batch's, which
    belongs to other clips here.
    """

    kind: Literal["free"] = "free"
    label: ClassVar[str] = "free adversary"

    replays: int = Field(default=4, ge=2)
    """Updates in a row on the same batch; the first of them is clean. The training then reads that
    many times fewer clips.
    """

    _delta: Tensor = PrivateAttr()
    _epsilon: Tensor = PrivateAttr()

    @property
    def updates_per_batch(self) -> int:
        """Replays of a batch."""
        return self.replays

    def start(self) -> Self:
        """Copy of the settings that keeps the perturbation between the updates on a batch."""
        return self.model_copy()

    def perturb(self, clean: CleanPass) -> Tensor:
        """Audio x + δ, as a leaf that the update's backward pass leaves its gradient on."""
        self._epsilon = self.size(clean)
        if clean.step % self.replays == 0:
            self._delta = clean.audio.new_zeros(clean.audio.shape)
        return (clean.audio.detach() + self._delta).requires_grad_()

    def after_update(self, perturbed: Tensor) -> None:
        """δ ← clip(δ + ε · sign(∇L)), with the gradient of the update."""
        gradient = perturbed.grad
        if gradient is None:
            raise ValueError("the perturbed audio has no gradient: call `backward` before")
        self._delta = (self._delta + self._epsilon * gradient.sign()).clamp(
            -self._epsilon, self._epsilon
        )
