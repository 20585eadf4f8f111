"""Protocols of a probe, one module each: how classifiers are fitted and chosen."""

from __future__ import annotations

from cpc_core.probing.protocols.base import Labelled, Protocol
from cpc_core.probing.protocols.linear import Linear
from cpc_core.probing.protocols.nearest import Nearest
from cpc_core.probing.protocols.network import HEAR, PAPER, NetworkGrid

PROTOCOLS: dict[str, Protocol] = {
    "paper": NetworkGrid(PAPER),
    "linear": Linear(),
    "knn": Nearest(),
    "hear": NetworkGrid(HEAR),
}
"""By the names that commands take."""

__all__ = ["PROTOCOLS", "Labelled", "Protocol"]
