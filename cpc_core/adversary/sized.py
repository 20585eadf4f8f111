"""Perturbations of a size ε."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor

from cpc_core.adversary.base import Perturbing
from cpc_core.clean_pass import CleanPass, reference_amplitude
from cpc_core.config import SizedAdversary
from cpc_core.stateless_random import Key, Purpose, uniform

Config = TypeVar("Config", bound=SizedAdversary, covariant=True)


class Sized(Perturbing[Config]):
    """A perturbation of size ε relative to a reference, which grows linearly over the first
    `warmup_steps` steps.
    """

    def size(self, clean: CleanPass) -> Tensor:
        """ε of each clip as an amplitude at this step, `[B, 1]`."""
        ramp = min(1.0, (clean.step + 1) / (self.config.warmup_steps + 1))
        return (
            self.config.epsilon
            * ramp
            * reference_amplitude(clean.audio.detach(), self.config.epsilon_reference)
        )


def uniform_start(clean: CleanPass, epsilon: Tensor) -> Tensor:
    """A uniform point of the ε-ball around each clip, `[B, L]`, for `epsilon` `[B, 1]`."""
    start = uniform(
        Key(clean.seed, clean.step, Purpose.ATTACK_START), clean.clip_ids, clean.audio.shape[1:]
    )
    return epsilon * (2 * start - 1)
