from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from study.analysis.statistics import (
    BOOTSTRAP_SEEDS,
    ClipTable,
    Interval,
    bootstrap_interval,
    mean_variance,
    paired_difference,
    t_interval,
)

FINITE = st.integers(-(10**6), 10**6).map(lambda thousandths: thousandths / 1000)


@settings(deadline=None)
@given(st.lists(FINITE, min_size=3, max_size=12, unique=True))
def test_t_interval_is_scipys(values: list[float]) -> None:
    interval = t_interval(values)
    low, high = stats.t.interval(
        0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    assert (interval.mean, interval.low, interval.high) == pytest.approx(
        (np.mean(values), low, high), rel=1e-9, abs=1e-9
    )
    assert interval.n == len(values)


def test_fewer_than_three_values_have_no_interval() -> None:
    assert t_interval([0.4]) == Interval(0.4, None, None, 1)
    assert t_interval([0.4, 0.6]) == Interval(0.5, None, None, 2)


def test_three_values_by_hand() -> None:
    # t(0.975, 2) = 4.302653; s = 0.1, s / √3 = 0.057735
    interval = t_interval([0.4, 0.5, 0.6])
    assert (interval.low, interval.high) == pytest.approx(
        (0.5 - 0.248414, 0.5 + 0.248414), abs=1e-6
    )


def test_equal_values_have_no_interval_of_zero_width() -> None:
    assert t_interval([0.25] * 3) == Interval(0.25, None, None, 3)
    # 0.54 − 0.5 and 0.3 − 0.26 differ by an ulp.
    assert t_interval([0.54 - 0.5, 0.3 - 0.26, 0.04]).low is None


def test_a_count_of_clips_is_known_to_one_clip() -> None:
    counted = ClipTable(np.full((3, 25), 0.04), resolution=1 / 25)
    interval = t_interval([0.04] * 3, counted)
    assert (interval.low, interval.high) == pytest.approx((0.0, 0.08))
    wide = ClipTable(np.full((3, 25), 0.04), resolution=1e-6)
    assert t_interval([0.0, 0.04, 0.08], wide).high == t_interval([0.0, 0.04, 0.08]).high


def test_intervals_stay_inside_the_range_of_the_metric() -> None:
    interval = t_interval([0.90, 0.99, 0.98]).within(0.0, 1.0)
    assert interval.high == 1.0
    assert interval.low is not None and interval.low > 0
    assert Interval(0.5, None, None, 1).within(0.0, 1.0) == Interval(0.5, None, None, 1)


def test_variance_over_seeds_and_clips_is_anovas() -> None:
    """By sums of squares of the two-way table, as in any textbook."""
    table = np.random.default_rng(0).normal(0, 1, (4, 7)) + np.arange(7)
    n, clips = table.shape
    rows, columns, mean = table.mean(1), table.mean(0), table.mean()
    seed_square = clips * ((rows - mean) ** 2).sum() / (n - 1)
    clip_square = n * ((columns - mean) ** 2).sum() / (clips - 1)
    total = ((table - mean) ** 2).sum()
    residual = total - seed_square * (n - 1) - clip_square * (clips - 1)
    residual /= (n - 1) * (clips - 1)
    variance = mean_variance(rows.tolist(), ClipTable(table))
    assert variance.seeds == pytest.approx(seed_square / (n * clips))
    assert variance.clips == pytest.approx((clip_square - residual) / (n * clips))
    a, b = variance.seeds, variance.clips
    assert b is not None
    assert variance.degrees == pytest.approx((a + b) ** 2 / (a**2 / (n - 1) + b**2 / (clips - 1)))


def test_clips_that_all_agree_leave_the_seeds_interval() -> None:
    values = [0.3, 0.35, 0.42, 0.31]
    same = ClipTable(np.repeat(np.array(values)[:, None], 9, axis=1))
    interval = t_interval(values, same)
    assert (interval.low, interval.high) == pytest.approx(
        (t_interval(values).low, t_interval(values).high)
    )
    assert interval.clip_share == 0.0
    assert t_interval(values).clip_share is None
    assert t_interval(values, ClipTable(same.values[:, :1])).clip_share is None


@pytest.mark.parametrize("n", [3, 5, 10])
def test_interval_covers_the_truth_in_95_percent(n: int) -> None:
    draws = np.random.default_rng(n).normal(0.3, 0.05, (4000, n))
    covered = [
        interval.low <= 0.3 <= interval.high
        for interval in map(t_interval, draws.tolist())
        if interval.low and interval.high
    ]
    assert len(covered) == 4000
    # Four standard errors of a share of 4000.
    assert np.mean(covered) == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4000))


@pytest.mark.parametrize("n", [BOOTSTRAP_SEEDS, 12])
@pytest.mark.parametrize(
    "draw",
    [lambda random, n: random.normal(0.3, 0.05, n), lambda random, n: random.gamma(9, 0.3 / 9, n)],
)
def test_bootstrap_covers_the_truth_within_two_points(
    n: int, draw: Callable[[np.random.Generator, int], np.ndarray]
) -> None:
    random, covered = np.random.default_rng(n), 0
    for _ in range(800):
        interval = bootstrap_interval(draw(random, n).tolist())
        assert interval.low is not None and interval.high is not None
        covered += interval.low <= 0.3 <= interval.high
    # Two points, and two standard errors of a share of 800.
    assert covered / 800 == pytest.approx(0.95, abs=0.02 + 2 * math.sqrt(0.95 * 0.05 / 800))


def test_bootstrap_is_scipys_resampling_of_the_t_statistic() -> None:
    values = [0.31, 0.30, 0.36, 0.29, 0.52, 0.33, 0.30]
    mean, deviation = np.mean(values), np.std(values, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        resampled = stats.bootstrap(
            (values,),
            lambda x, axis: (x.mean(axis) - mean) / x.std(axis, ddof=1),
            method="percentile",
            rng=1,
        )
    below, above = np.quantile(resampled.bootstrap_distribution, [0.025, 0.975])
    interval = bootstrap_interval(values)
    assert (interval.low, interval.high) == pytest.approx(
        (mean - above * deviation, mean - below * deviation), rel=0.1
    )
    assert interval == bootstrap_interval(values)
    # One high seed: the interval leans towards it, which Student's cannot.
    assert interval.high is not None and interval.low is not None
    assert interval.high - mean > 1.5 * (mean - interval.low)


def test_few_or_equal_values_have_no_bootstrap() -> None:
    few = bootstrap_interval([0.1, 0.2, 0.3, 0.4])
    assert (few.low, few.high, few.n) == (None, None, 4)
    assert bootstrap_interval([0.25] * 6) == Interval(0.25, None, None, 6)
    counted = ClipTable(np.full((6, 20), 0.25), resolution=1 / 20)
    assert bootstrap_interval([0.25] * 6, counted) == Interval(0.25, 0.2, 0.3, 6)


def test_overlap_is_unknown_without_an_interval() -> None:
    assert t_interval([0.1]).overlaps(t_interval([0.1, 0.2])) is None
    assert t_interval([0.1, 0.11, 0.12]).overlaps(t_interval([9.0, 9.01, 9.02])) is False


@settings(deadline=None)
@given(st.lists(st.tuples(FINITE, FINITE), min_size=3, max_size=8))
def test_paired_difference_is_scipys_paired_test(pairs: list[tuple[float, float]]) -> None:
    first, second = ({seed: pair[side] for seed, pair in enumerate(pairs)} for side in (0, 1))
    differences = [a - b for a, b in pairs]
    result = paired_difference(first, second)
    assert result is not None
    if np.std(differences) > 1e-6:
        expected = stats.ttest_rel(*zip(*pairs, strict=True)).confidence_interval()
        assert (result.interval.low, result.interval.high) == pytest.approx(
            (expected.low, expected.high), rel=1e-6, abs=1e-6
        )
        assert result.effect_size == pytest.approx(
            np.mean(differences) / np.std(differences, ddof=1), rel=1e-6, abs=1e-9
        )


@pytest.mark.parametrize("n", [3, 5, 12])
def test_hedges_correction_removes_the_bias_of_few_seeds(n: int) -> None:
    true, count = 0.8, 8000
    draws = np.random.default_rng(n).normal(true, 1, (count, n))
    zero = dict.fromkeys(range(n), 0.0)
    found = [paired_difference(dict(enumerate(row)), zero) for row in draws.tolist()]
    corrected = [each.hedges_g for each in found if each is not None and each.hedges_g is not None]
    raw = [each.effect_size for each in found if each is not None and each.effect_size is not None]
    assert len(corrected) == count
    error = 4 * float(np.std(corrected)) / math.sqrt(count)
    assert np.mean(corrected) == pytest.approx(true, abs=error)
    assert np.mean(raw) > true + error


def test_hedges_correction_by_hand() -> None:
    # Γ(1) / (√1 · Γ(1/2)) = 1 / √π with three seeds; with two, Γ(0) makes it nothing.
    three = paired_difference({0: 1.0, 1: 2.0, 2: 3.0}, {0: 0.0, 1: 0.0, 2: 0.0})
    assert three is not None
    assert three.effect_size == 2.0
    assert three.hedges_g == pytest.approx(2 / math.sqrt(math.pi))
    two = paired_difference({0: 1.0, 1: 2.0}, {0: 0.0, 1: 0.0})
    assert two is not None
    assert two.hedges_g is None


def test_only_shared_seeds_are_paired() -> None:
    result = paired_difference({0: 1.0, 1: 2.0, 7: 100.0}, {0: 0.5, 1: 1.0, 8: -100.0})
    assert result is not None
    assert result.seeds == (0, 1)
    assert result.interval.mean == pytest.approx(0.75)


def test_no_shared_seed_gives_no_difference() -> None:
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


def test_equal_differences_have_no_effect_size() -> None:
    result = paired_difference({0: 1.5, 1: 2.5, 2: 3.5}, {0: 1.0, 1: 2.0, 2: 3.0})
    assert result is not None
    assert (result.interval.low, result.interval.high, result.effect_size) == (None, None, None)


def test_pairing_removes_what_seeds_share() -> None:
    luck = np.random.default_rng(0).normal(0, 1, 6)
    first = {seed: 0.1 + value for seed, value in enumerate(luck)}
    second = {seed: value + 0.01 * (-1) ** seed for seed, value in enumerate(luck)}
    result = paired_difference(first, second)
    assert result is not None and result.interval.low is not None
    assert result.interval.low > 0
    assert t_interval(list(first.values())).overlaps(t_interval(list(second.values())))


@pytest.mark.parametrize("values", [[], [math.nan], [0.1, math.inf]])
def test_what_is_not_a_number_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no values|not a finite value"):
        t_interval(values)
