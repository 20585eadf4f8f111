"""Simulated studies whose truth is known: how often intervals cover it, and decisions are false.

Each share is of a fixed number of seeded studies. Its bound allows two standard errors of a share
that is exactly at the nominal level.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats

from study.analysis.answer import answer_info
from study.analysis.claims import ClaimInfo, claim_infos
from study.analysis.leads import ALPHA
from study.analysis.statistics import CONFIDENCE
from study.spec.claims import Claim
from tests.helpers.simulated_studies import (
    Values,
    claim,
    crossed,
    study_of_clips,
    study_of_seeds,
)

CLAIM = claim({"width": 1}, {"width": 0})
DECIDED = ("supported", "contradicted")

SOURCES = {
    "seeds": (0.01, 0.0, 0.0),
    "both": (0.01, 0.05, 0.05),
    "clips": (0.003, 0.08, 0.03),
}
"""Standard deviations of seeds, of clips and of a clip with a seed."""


def share(studies: int, seed: int, outcome: Callable[[np.random.Generator], bool]) -> float:
    random = np.random.default_rng(seed)
    return sum(outcome(random) for _ in range(studies)) / studies


def at_most(level: float, studies: int) -> float:
    return level + 2 * math.sqrt(level * (1 - level) / studies)


def answers(
    cells: Sequence[Values] | Values, claims: Sequence[Claim] = (CLAIM,), looks: int = 1
) -> list[ClaimInfo]:
    return list(claim_infos(study_of_seeds(cells, claims, looks=looks)))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_cover_the_lead_in_95_percent(seeds: int, source: str) -> None:
    def covers(random: np.random.Generator) -> bool:
        theirs, ours = (0.4 + crossed(random, seeds, 30, SOURCES[source]) for _ in range(2))
        (info,) = claim_infos(study_of_clips([theirs, 0.02 + ours], [CLAIM]))
        assert info.low is not None and info.high is not None
        return info.low <= 0.02 <= info.high

    assert share(700, seeds, covers) == pytest.approx(CONFIDENCE, abs=0.02)


def test_seeds_alone_would_not_cover_the_lead() -> None:
    """The same studies without the scores by clip: their intervals are of these clips only."""

    def covers(random: np.random.Generator) -> bool:
        theirs, ours = (0.4 + crossed(random, 5, 30, SOURCES["clips"]) for _ in range(2))
        (info,) = answers([theirs.mean(1), 0.02 + ours.mean(1)])
        assert info.low is not None and info.high is not None
        return info.low <= 0.02 <= info.high

    assert share(300, 1, covers) < 0.7


@pytest.mark.parametrize("seeds", [3, 10])
def test_one_claim_is_decided_by_chance_in_5_percent(seeds: int) -> None:
    def decided(random: np.random.Generator) -> bool:
        cells = [0.4 + crossed(random, seeds, 30, SOURCES["both"]) for _ in range(2)]
        return claim_infos(study_of_clips(cells, [CLAIM]))[0].answer in DECIDED

    assert share(500, seeds, decided) <= at_most(ALPHA, 500)


@pytest.mark.parametrize("true", [0, 5])
def test_of_eight_claims_any_is_false_in_5_percent(true: int) -> None:
    """Compared with the same cell, and the first few of them true."""
    claims = [claim({"width": width}, {"width": 0}) for width in range(1, 9)]

    def wrong(random: np.random.Generator) -> bool:
        cells = [0.4 + 0.1 * (0 < width <= true) + random.normal(0, 0.01, 5) for width in range(9)]
        infos = answers(cells, claims)
        assert [info.answer for info in infos[:true]].count("contradicted") == 0
        leads = [0.1] * true + [0.0] * (8 - true)
        missed = [
            (info.joint_low or -1.0) > lead or lead > (info.joint_high or 1.0)
            for info, lead in zip(infos, leads, strict=True)
        ]
        return any(missed) or any(info.answer in DECIDED for info in infos[true:])

    assert share(300, true, wrong) <= at_most(ALPHA, 300)


@pytest.mark.parametrize("seeds", [3, 8])
def test_best_of_five_is_called_so_by_chance_in_5_percent(seeds: int) -> None:
    def wrong(random: np.random.Generator) -> bool:
        answer = answer_info(study_of_seeds(0.4 + random.normal(0, 0.01, (5, seeds)), []))
        score = answer.score
        assert score is not None and score.low is not None and score.high is not None
        return answer.headline.startswith("Best") or not score.low <= 0.4 <= score.high

    assert share(400, seeds, wrong) <= at_most(ALPHA, 400)


def test_picking_the_best_of_five_is_allowed_for() -> None:
    """In a claim; the lead of the best one by itself is above 0 far too often."""
    best = claim({"epsilon_db": "best", "adversary": "fgsm"}, {"adversary": "none"})
    naive: list[bool] = []

    def wrong(random: np.random.Generator) -> bool:
        record = study_of_seeds(
            0.4 + random.normal(0, 0.01, (6, 3)),
            [best],
            knobs=[{"adversary": "none"}]
            + [{"adversary": "fgsm", "epsilon_db": -float(db)} for db in range(5)],
        )
        (info,) = claim_infos(record)
        assert info.difference is not None and info.difference.interval.low is not None
        naive.append(info.difference.interval.low > 0)
        return info.answer in DECIDED or (info.low is not None and info.low > 0)

    assert share(400, 0, wrong) <= at_most(ALPHA, 400)
    assert sum(naive) / len(naive) > 0.05


def test_of_three_looks_any_is_false_in_5_percent() -> None:
    """Seeds are added until the claim is decided; at 95 % each time one in ten would be."""
    naive: list[bool] = []

    def wrong(random: np.random.Generator) -> bool:
        cells = 0.4 + random.normal(0, 0.01, (2, 10))
        infos = [
            answers(cells[:, :seeds], looks=looks)[0] for looks, seeds in enumerate((3, 5, 10), 1)
        ]
        naive.append(any((info.low or -1.0) > 0 or (info.high or 1.0) < 0 for info in infos))
        return any(info.answer in DECIDED for info in infos)

    assert share(600, 0, wrong) <= at_most(ALPHA, 600)
    assert sum(naive) / len(naive) > 0.09


@pytest.mark.parametrize("seeds", [5, 10])
def test_survivors_do_not_support_a_claim(seeds: int) -> None:
    """One side diverges where it would be bad, so that its survivors look better."""
    naive: list[bool] = []

    def wrong(random: np.random.Generator) -> bool:
        theirs, ours = 0.4 + random.normal(0, 0.02, (2, seeds))
        survives = ours > 0.4
        differences = (ours - theirs)[survives]
        if len(differences) > 2:
            low = stats.ttest_1samp(differences, 0).confidence_interval().low
            naive.append(bool(low > 0))
        return answers([theirs, np.where(survives, ours, np.nan)])[0].answer in DECIDED

    assert share(400, seeds, wrong) <= at_most(ALPHA, 400)
    assert sum(naive) / len(naive) > 0.06


@pytest.mark.parametrize("limit", [0.38, 0.4])
def test_where_both_sides_diverge_5_percent_are_false(limit: float) -> None:
    """Two equal settings, of which every trial below the limit diverges."""

    def wrong(random: np.random.Generator) -> bool:
        cells = 0.4 + random.normal(0, 0.02, (2, 10))
        return answers([np.where(each > limit, each, np.nan) for each in cells])[0].answer in (
            DECIDED
        )

    assert share(400, 0, wrong) <= at_most(ALPHA, 400)


def test_the_median_lead_is_covered_where_seeds_diverge() -> None:
    """A diverged seed is worse than any: the median is that of the latent values."""

    def covers(random: np.random.Generator) -> bool:
        theirs, ours = 0.4 + random.normal(0, 0.02, (2, 10))
        (info,) = answers([theirs, np.where(0.03 + ours > 0.41, 0.03 + ours, np.nan)])
        return (info.low or -1.0) <= 0.03 <= (info.high or 1.0)

    assert share(400, 0, covers) >= CONFIDENCE - 0.02


@pytest.mark.parametrize("noise", [0.02, 0.3])
@pytest.mark.parametrize("seeds", [3, 10])
def test_accuracy_on_25_clips_is_decided_in_5_percent(seeds: int, noise: float) -> None:
    """Equal settings that agree on most clips; with little noise most seeds give equal counts."""
    accuracy = claim({"width": 1}, {"width": 0}, metric="dev_probe_accuracy")

    def cell(random: np.random.Generator) -> Values:
        right = random.random(25) < 0.7
        return np.asarray(right ^ (random.random((seeds, 25)) < noise), dtype=float)

    def decided(random: np.random.Generator) -> bool:
        cells = [cell(random), cell(random)]
        return (
            claim_infos(study_of_clips(cells, [accuracy], "dev_probe_accuracy"))[0].answer
            in DECIDED
        )

    assert share(400, seeds, decided) <= at_most(ALPHA, 400)


def test_equal_counts_of_clips_decide_nothing_alone() -> None:
    """Two or three equal differences of one clip had an interval without width."""
    right = np.arange(25) < 15
    theirs = np.tile(right, (3, 1)).astype(float)
    ours = theirs.copy()
    ours[:, 20] = 1.0
    accuracy = claim({"width": 1}, {"width": 0}, metric="dev_probe_accuracy")
    (info,) = claim_infos(study_of_clips([theirs, ours], [accuracy], "dev_probe_accuracy"))
    assert info.answer == "undecided"
    (fixed,) = answers([theirs.mean(1), ours.mean(1)])
    assert (fixed.answer, fixed.low) == ("undecided", None)


def test_an_effect_that_is_there_is_found() -> None:
    def found(random: np.random.Generator) -> bool:
        common = random.normal(0, 0.03, 8)
        cells = [0.4 + lead + common + random.normal(0, 0.01, 8) for lead in (0.0, 0.03)]
        return answers(cells)[0].answer == "supported"

    assert share(150, 0, found) > 0.9
