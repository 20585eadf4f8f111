"""Similarities (Eq. 2), one module per kind: to add one, write its module and import it here.

Messages and figures list the kinds in the order of these imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# isort: off
from cpc_core.similarity.base import Similarity as Similarity
from cpc_core.similarity.dot import DotSimilarity as DotSimilarity
from cpc_core.similarity.cosine import CosineSimilarity as CosineSimilarity
from cpc_core.similarity.nonlinear_cosine import (
    NonlinearCosineSimilarity as NonlinearCosineSimilarity,
)
# isort: on

from cpc_core.section import one_of

if TYPE_CHECKING:
    AnySimilarity = Similarity
else:
    AnySimilarity = one_of(Similarity)
