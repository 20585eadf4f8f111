"""Samplers: which configurations are proposed, one module each."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from search_spaces.samplers.cmaes import CmaesSampler
from search_spaces.samplers.gp import GpSampler
from search_spaces.samplers.grid import GridSampler
from search_spaces.samplers.qmc import QmcSampler
from search_spaces.samplers.random import RandomSampler
from search_spaces.samplers.tpe import TpeSampler

Sampler = Annotated[
    GridSampler | RandomSampler | TpeSampler | GpSampler | CmaesSampler | QmcSampler,
    Field(discriminator="kind"),
]
