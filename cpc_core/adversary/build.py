"""From the configuration to the adversary."""

from __future__ import annotations

from cpc_core import config as c
from cpc_core.adversary.augment import Pitch, Speed
from cpc_core.adversary.base import Adversary, Clean
from cpc_core.adversary.gradient import Fgsm, Free, Pgd, RandomStartFgsm
from cpc_core.adversary.noise import Gaussian, NoiseAtRatio


def build_adversary(config: c.Adversary) -> Adversary:
    """The configured adversary."""
    match config:
        case c.NoAdversary():
            return Clean()
        case c.GaussianAdversary():
            return Gaussian(config)
        case c.FgsmAdversary():
            return Fgsm(config)
        case c.RandomStartFgsmAdversary():
            return RandomStartFgsm(config)
        case c.PgdAdversary():
            return Pgd(config)
        case c.FreeAdversary():
            return Free(config)
        case c.AdditiveNoise():
            return NoiseAtRatio(config)
        case c.SpeedChange():
            return Speed(config)
        case c.PitchShift():
            return Pitch(config)
