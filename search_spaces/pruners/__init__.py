"""Pruners: the trials or cells that stop early, one module a kind.

A new kind is a module and its import here. Messages list the kinds in the order of the imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cpc_core.section import one_of

# isort: off
from search_spaces.pruners.base import Pruner as Pruner
from search_spaces.pruners.none import NoPruner as NoPruner
from search_spaces.pruners.median import MedianPruner as MedianPruner
from search_spaces.pruners.asha import HalvingPruner as HalvingPruner
from search_spaces.pruners.hyperband import HyperbandPruner as HyperbandPruner
from search_spaces.pruners.wilcoxon import WilcoxonPruner as WilcoxonPruner
# isort: on

if TYPE_CHECKING:
    AnyPruner = Pruner
else:
    AnyPruner = one_of(Pruner)
