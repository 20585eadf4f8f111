"""The cosine similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from cpc_core.similarity.base import Similarity

if TYPE_CHECKING:
    from torch import nn


class CosineSimilarity(Similarity):
    """sim(u, v) = uᵀv / (‖u‖ ‖v‖), without a projection."""

    kind: Literal["cosine"] = "cosine"
    label: ClassVar[str] = "cosine"

    def embedding(self, channels: int) -> nn.Module:
        """Normalisation to length 1."""
        from cpc_core.objective.embedding import Cosine

        return Cosine()
