"""The cosine similarity."""

from __future__ import annotations

from typing import Literal

from cpc_core.section import Section


class CosineSimilarity(Section):
    """sim(u, v) = uᵀv / (‖u‖ ‖v‖), without a projection."""

    kind: Literal["cosine"] = "cosine"
