"""The cosine after a shared projection."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import ConfigDict, Field

from cpc_core.similarity.base import Similarity

if TYPE_CHECKING:
    from torch import nn


class NonlinearCosineSimilarity(Similarity):
    """Eq. 2: the cosine of p(u) and p(v), p an MLP with one hidden layer shared by both sides."""

    model_config = ConfigDict(json_schema_extra={"paper": "Eq. 2"})

    kind: Literal["nonlinear_cosine"] = "nonlinear_cosine"
    label: ClassVar[str] = "nonlinear cosine"

    hidden: int = Field(default=512, ge=1, json_schema_extra={"paper": "section 3.1"})
    """Units of the hidden layer (section 3.1: 512)."""

    output: int | None = Field(default=None, ge=1)
    """Dimensions that are compared; null takes `hidden`, because the paper names no other size."""

    def embedding(self, channels: int) -> nn.Module:
        """p, followed by normalisation to length 1."""
        from cpc_core.objective.embedding import NonlinearCosine

        return NonlinearCosine(channels, self.hidden, self.output or self.hidden)
