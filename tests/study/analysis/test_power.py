from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from study.analysis.power import MOST_SEEDS, POWER, NewStudy, new_study, power, required_seeds
from study.analysis.statistics import FEWEST_SEEDS, t_interval


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
        assert n == FEWEST_SEEDS or power(effect, n - 1) < POWER


def test_four_of_five_simulated_studies_of_that_size_decide() -> None:
    n = required_seeds(0.9)
    assert n is not None
    draws = np.random.default_rng(0).normal(0.9, 1.0, (4000, n))
    decided = sum((t_interval(row).low or 0) > 0 for row in draws.tolist())
    assert decided / 4000 == pytest.approx(power(0.9, n), abs=4 * math.sqrt(0.16 / 4000))


def test_no_effect_needs_more_seeds_than_anyone_has() -> None:
    assert required_seeds(0.0) is None
    assert required_seeds(1e-3) is None


def test_effects_of_a_new_study_are_those_of_the_noncentral_t() -> None:
    values = [0.03, 0.05, 0.02, 0.06, 0.04]
    effect = float(np.mean(values) / np.std(values, ddof=1))
    planned = new_study(values)
    assert planned is not None

    low, high = (
        brentq(lambda nc, tail: stats.nct.sf(effect * math.sqrt(5), 4, nc) - tail, -5, 30, (tail,))
        for tail in (0.025, 0.975)
    )
    assert planned == NewStudy(
        seeds=required_seeds(effect * math.sqrt(2 / 4) * math.gamma(2) / math.gamma(1.5), 0.975),
        fewest=required_seeds(high / math.sqrt(5), 0.975),
        most=required_seeds(low / math.sqrt(5), 0.975),
    )


def test_the_size_of_a_new_study_has_an_interval() -> None:
    """In 95 % of studies it contains the size that the true effect needs."""
    random, true = np.random.default_rng(0), required_seeds(0.9, 0.975)
    assert true is not None
    inside = 0
    for row in random.normal(0.9, 1.0, (600, 6)).tolist():
        planned = new_study(row)
        assert planned is not None
        least = MOST_SEEDS + 1 if planned.fewest is None else planned.fewest
        most = MOST_SEEDS + 1 if planned.most is None else planned.most
        inside += least <= true <= most
    assert inside / 600 == pytest.approx(0.95, abs=0.03)


def test_no_new_study_is_planned_from_too_little() -> None:
    assert new_study([0.1, 0.2]) is None
    assert new_study([0.1, 0.1, 0.1]) is None
    nothing = new_study([0.4, -0.4, 0.3, -0.3])
    assert nothing is not None
    assert (nothing.seeds, nothing.most) == (None, None)
    assert nothing.words.startswith("A new study would need more than 1024 seeds")
