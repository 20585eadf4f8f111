"""Pruners: which trials or cells stop early, one module each."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from search_spaces.pruners.asha import HalvingPruner
from search_spaces.pruners.base import NoPruner
from search_spaces.pruners.hyperband import HyperbandPruner
from search_spaces.pruners.median import MedianPruner
from search_spaces.pruners.wilcoxon import WilcoxonPruner

Pruner = Annotated[
    NoPruner | MedianPruner | HalvingPruner | HyperbandPruner | WilcoxonPruner,
    Field(discriminator="kind"),
]
