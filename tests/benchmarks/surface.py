"""A response surface with the shape of a search: conditional, categorical and logarithmic
parameters, made up but cheap.
"""

from __future__ import annotations

import math
from typing import Any

from search_spaces.space import Sample

SPACE: dict[str, Any] = {
    "adversary": ["none", "fgsm", "gaussian"],
    "epsilon_db": {"low": -80, "high": -30, "when": {"adversary": ["fgsm", "gaussian"]}},
    "temperature": {"low": 0.01, "high": 1.0, "log": True},
    "similarity": ["dot", "cosine", "nonlinear_cosine"],
}


BEST = 0.5
"""The surface's maximum: fgsm at −55 dB, nonlinear cosine, τ = 0.1."""


def response(sample: Sample) -> float:
    """A score to be maximised. ε matters with an adversary only; the best τ depends on the
    similarity.
    """
    similarity, temperature = sample["similarity"], sample["temperature"]
    assert isinstance(temperature, float)
    centre = {"dot": 1.0, "cosine": 0.2, "nonlinear_cosine": 0.1}[str(similarity)]
    score = 0.45 + {"dot": 0.0, "cosine": 0.01, "nonlinear_cosine": 0.02}[str(similarity)]
    score -= 0.03 * math.log10(temperature / centre) ** 2
    if sample["adversary"] != "none":
        epsilon_db = sample["epsilon_db"]
        assert isinstance(epsilon_db, int | float)
        gain, width = (0.03, 6.0) if sample["adversary"] == "fgsm" else (0.005, 20.0)
        score += gain * math.exp(-(((epsilon_db + 55) / width) ** 2)) - 0.0005 * max(
            0.0, epsilon_db + 50
        )
    return score
