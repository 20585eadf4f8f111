"""Samplers: the choice of configurations to train, one module a kind.

A new kind is a module and its import here. Messages list the kinds in the order of the imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cpc_core.section import one_of

# isort: off
from search_spaces.samplers.base import Sampler as Sampler
from search_spaces.samplers.grid import GridSampler as GridSampler
from search_spaces.samplers.random import RandomSampler as RandomSampler
from search_spaces.samplers.tpe import TpeSampler as TpeSampler
from search_spaces.samplers.gp import GpSampler as GpSampler
from search_spaces.samplers.cmaes import CmaesSampler as CmaesSampler
from search_spaces.samplers.qmc import QmcSampler as QmcSampler
# isort: on

if TYPE_CHECKING:
    AnySampler = Sampler
else:
    AnySampler = one_of(Sampler)
