"""The cosine after a shared projection."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cpc_core.section import Section


class NonlinearCosineSimilarity(Section):
    """Eq. 2: the cosine of p(u) and p(v), p an MLP with one hidden layer shared by both sides."""

    kind: Literal["nonlinear_cosine"] = "nonlinear_cosine"

    hidden: int = Field(default=512, ge=1)
    """Units of the hidden layer (section 3.1: 512)."""

    output: int | None = Field(default=None, ge=1)
    """Dimensions that are compared; null takes `hidden`, because the paper names no other size."""
