"""The dot product."""

from __future__ import annotations

from typing import Literal

from cpc_core.section import Section


class DotSimilarity(Section):
    """sim(u, v) = uᵀv, the original CPC measure."""

    kind: Literal["dot"] = "dot"
