"""Adversaries (section 2.3), one module per kind: to add one, write its module and import it here.

Messages and figures list the kinds in the order of these imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# isort: off
from cpc_core.adversary.base import Adversary as Adversary, NoAdversary as NoAdversary
from cpc_core.adversary.noise import AdditiveNoise as AdditiveNoise, Gaussian as Gaussian
from cpc_core.adversary.fgsm import Fgsm as Fgsm, RandomStartFgsm as RandomStartFgsm
from cpc_core.adversary.pgd import Pgd as Pgd
from cpc_core.adversary.free import Free as Free
from cpc_core.adversary.augment import PitchShift as PitchShift, SpeedChange as SpeedChange
# isort: on

from cpc_core.section import one_of

if TYPE_CHECKING:
    AnyAdversary = Adversary
else:
    AnyAdversary = one_of(Adversary)
