from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from study.analysis.power import POWER, power, required_seeds
from study.analysis.statistics import t_interval


@pytest.mark.parametrize(
    ("effect", "n", "confidence"), [(0.0, 5, 0.95), (0.5, 5, 0.95), (1.0, 10, 0.95), (2.0, 3, 0.99)]
)
def test_power_is_the_noncentral_t_distribution(effect: float, n: int, confidence: float) -> None:
    t = stats.t.ppf((1 + confidence) / 2, n - 1)
    assert power(effect, n, confidence) == pytest.approx(
        stats.nct.sf(t, n - 1, effect * math.sqrt(n)), rel=1e-6
    )


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_required_seeds_are_those_of_published_tables(effect: float, n: int) -> None:
    """Paired t-test, two-sided 5 %, power 80 %: G*Power and Cohen's (1988) tables."""
    assert required_seeds(effect) == required_seeds(-effect) == n


def test_required_seeds_are_the_fewest() -> None:
    for effect in (0.15, 0.7, 1.3, 3.0, 40.0):
        n = required_seeds(effect)
        assert n is not None
        assert power(effect, n) >= POWER
        assert n == 2 or power(effect, n - 1) < POWER


def test_four_of_five_simulated_studies_of_that_size_decide() -> None:
    n = required_seeds(0.9)
    assert n is not None
    draws = np.random.default_rng(0).normal(0.9, 1.0, (4000, n))
    decided = sum((t_interval(row).low or 0) > 0 for row in draws.tolist())
    assert decided / 4000 == pytest.approx(power(0.9, n), abs=4 * math.sqrt(0.16 / 4000))


def test_no_effect_needs_more_seeds_than_anyone_has() -> None:
    assert required_seeds(0.0) is None
    assert required_seeds(1e-3) is None
