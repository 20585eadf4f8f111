"""Perturbations that do not look at the model: Table 1's control, and noise at a ratio to each
clip.
"""

from __future__ import annotations

from torch import Tensor
from torchaudio.functional import add_noise

from cpc_core.adversary.base import Perturbing
from cpc_core.adversary.sized import Sized
from cpc_core.clean_pass import CleanPass
from cpc_core.config import AdditiveNoise, GaussianAdversary
from cpc_core.stateless_random import Key, Purpose, normal, uniform


class Gaussian(Sized[GaussianAdversary]):
    """Additive white noise of standard deviation ε (Table 1, last row)."""

    def perturb(self, clean: CleanPass) -> Tensor:
        """Answers x + ε · N(0, 1)."""
        return clean.audio.detach() + self.size(clean) * _white(clean)


class NoiseAtRatio(Perturbing[AdditiveNoise]):
    """White noise at a signal-to-noise ratio drawn for each clip."""

    def perturb(self, clean: CleanPass) -> Tensor:
        """Answers x + noise, with the ratio uniform over the configured decibels; a silent clip
        stays silent.
        """
        low, high = self.config.snr_db
        ratio_db = low + (high - low) * uniform(
            Key(clean.seed, clean.step, Purpose.AUGMENTATION), clean.clip_ids, ()
        )
        return add_noise(clean.audio.detach(), _white(clean), ratio_db.to(clean.audio))  # type: ignore[no-any-return]


def _white(clean: CleanPass) -> Tensor:
    return normal(
        Key(clean.seed, clean.step, Purpose.NOISE), clean.clip_ids, clean.audio.shape[1:]
    ).to(clean.audio)
