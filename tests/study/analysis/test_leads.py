from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cpc_core.evaluation.clip_scores import by_recording
from study.analysis.cells import Cell, group_cells
from study.analysis.leads import ALPHA, Lead, look_error
from study.results.records import TrialRecord
from tests.helpers.records import study, trial
from tests.helpers.simulated_studies import study_of_seeds

NAN = math.nan


def lead(ours: list[float], theirs: list[float], seeds: int | None = None) -> Lead:
    first, second = cells(ours, theirs)
    planned = range(len(ours) if seeds is None else seeds)
    return Lead.of(first, second, "dev_map", "maximize", planned)


def cells(*values: list[float]) -> tuple[Cell, ...]:
    return group_cells(study_of_seeds([np.array(each) for each in values], []))


def test_looks_spend_less_than_the_error_of_a_study() -> None:
    assert [look_error(looks) / ALPHA for looks in (1, 2, 3)] == [0.5, 0.25, 0.125]
    assert sum(map(look_error, range(1, 50))) <= ALPHA


def test_with_every_seed_a_lead_has_students_ends() -> None:
    ours, theirs = [0.5, 0.6, 0.55, 0.7], [0.3, 0.5, 0.2, 0.4]
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.9)
    assert lead(ours, theirs).ends(0.05) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("level", [0.025, 0.0125, 0.2])
def test_a_lacking_seed_is_below_every_value(level: float) -> None:
    """The sign test's interval: an order statistic of the binomial distribution."""
    differences = np.random.default_rng(0).normal(0.1, 0.05, 9)
    found = lead([*(0.3 + differences), NAN, NAN], [0.3] * 11)
    ordered = [-math.inf, -math.inf, *sorted(differences)]
    below = int(stats.binom.ppf(level, 11, 0.5))
    # The quantile is the first count whose probability exceeds the level, or reaches it.
    below -= stats.binom.cdf(below, 11, 0.5) > level
    expected = ordered[below] if below >= 0 else -math.inf
    assert found.ends(level)[0] == pytest.approx(expected)
    assert found.lacking == (2, 0)


def test_a_seed_that_the_other_side_lacks_is_left_out() -> None:
    ours, theirs = [0.5, 0.6, 0.55, 0.9], [0.3, 0.5, 0.2, NAN]
    assert lead(ours, theirs).ends(0.025)[0] == lead(ours[:3], theirs[:3]).ends(0.025)[0]
    # The seed might have been far ahead: the lead has no upper end.
    assert lead(ours, theirs).ends(0.025)[1] == math.inf


def test_swapping_the_cells_mirrors_the_ends() -> None:
    ours, theirs = [0.5, 0.6, 0.55, 0.9, NAN], [0.3, 0.5, NAN, 0.2, 0.1]
    low, high = lead(ours, theirs).ends(0.2)
    assert lead(theirs, ours).ends(0.2) == (-high, -low)


def test_a_seed_that_was_never_trained_is_lacking() -> None:
    assert lead([0.5, 0.6, 0.7], [0.3, 0.3, 0.4], seeds=5).lacking == (2, 2)


def test_cells_without_a_shared_seed_have_any_lead() -> None:
    assert lead([0.5, NAN], [NAN, 0.3]).ends(0.4) == (-math.inf, math.inf)
    assert lead([0.5, NAN], [NAN, 0.3]).difference is None


def test_the_clips_widen_the_lead_of_the_median_seed_too() -> None:
    random, groups = np.random.default_rng(0), [str(clip) for clip in range(12)]
    of_clip = random.normal(0.1, 0.1, 12)
    trials: list[TrialRecord] = []
    for width in (0, 1):
        for seed in range(10):
            values = 0.3 + width * of_clip + random.normal(0, 0.01, 12)
            made = trial(len(trials), {"width": width}, seed, metrics={"dev_map": values.mean()})
            clips = by_recording(groups, [""] * 12, {"dev_map": values})
            trials.append(replace(made, clips=clips))
    trials[-1] = replace(trials[-1], outcome="diverged", metrics={})

    def low(kept: Sequence[TrialRecord]) -> float:
        other, own = group_cells(study(kept))
        return Lead.of(own, other, "dev_map", "maximize", range(10)).ends(0.025)[0]

    shift = stats.t.ppf(1 - 0.0125, 11) * of_clip.std(ddof=1) / math.sqrt(12)
    alone = low([replace(each, clips=None) for each in trials])
    assert low(trials) == pytest.approx(alone - shift, abs=0.005)
