"""The dot product."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from cpc_core.similarity.base import Similarity

if TYPE_CHECKING:
    from torch import nn


class DotSimilarity(Similarity):
    """sim(u, v) = uᵀv, the original CPC measure."""

    kind: Literal["dot"] = "dot"
    label: ClassVar[str] = "dot product"

    def embedding(self, channels: int) -> nn.Module:
        """The identity, in float32 or better."""
        from cpc_core.objective.embedding import Dot

        return Dot()
