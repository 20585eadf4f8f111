"""Similarities of predictions and latents (Eq. 2), one module each."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cpc_core.similarity.cosine import CosineSimilarity
from cpc_core.similarity.dot import DotSimilarity
from cpc_core.similarity.nonlinear_cosine import NonlinearCosineSimilarity

Similarity = Annotated[
    DotSimilarity | CosineSimilarity | NonlinearCosineSimilarity, Field(discriminator="kind")
]
