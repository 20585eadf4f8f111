from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cpc_core.evaluation.clip_scores import by_recording
from study.analysis.claims import ClaimInfo, claim_infos, holm
from study.analysis.statistics import Interval, PairedDifference, paired_difference
from study.results.records import StudyRecord, TrialRecord
from study.spec.claims import Claim
from tests.helpers import records
from tests.helpers.records import study, trial
from tests.helpers.simulated_studies import crossed, study_of_clips, study_of_seeds

CellKey = tuple[str, float | None]
"""Adversary and ε."""

EPSILONS = (-75, -65, -55, -45, -35)
BEST_EPSILON = {"adversary": "fgsm", "epsilon_db": "best"}
FGSM = {"adversary": "fgsm", "epsilon_db": -55}
NONE = {"adversary": "none"}


def claim(
    better: Mapping[str, Any] = BEST_EPSILON, than: Mapping[str, Any] = NONE, **changes: Any
) -> Claim:
    return Claim.model_validate(
        {"question": "Does it help?", "better": better, "than": than, **changes}
    )


def study_of(cells: Mapping[CellKey, list[float]], *claims: Claim, **changes: Any) -> StudyRecord:
    """A study of (adversary, ε) → values over seeds 0, 1, …; NaN for a trial that diverged."""
    trials: list[TrialRecord] = []
    for (adversary, epsilon_db), values in cells.items():
        knobs = (
            {"adversary": adversary}
            if epsilon_db is None
            else {"adversary": adversary, "epsilon_db": epsilon_db}
        )
        for seed, value in enumerate(values):
            outcome, metrics = (
                ("diverged", {}) if math.isnan(value) else ("complete", {"dev_map": value})
            )
            trials.append(trial(len(trials), knobs, seed, outcome, metrics))  # type: ignore[arg-type]
    return study(trials, claims=claims, **changes)


def answered(record: StudyRecord) -> ClaimInfo:
    (info,) = claim_infos(record)
    return info


def test_the_interval_is_bonferronis() -> None:
    cells: list[CellKey] = [("none", None), *(("fgsm", each) for each in EPSILONS)]
    values = {
        cell: np.random.default_rng(index).normal(0.4, 0.01, 4).tolist()
        for index, cell in enumerate(cells)
    }
    info = answered(study_of(values, claim()))
    none = np.array(values["none", None])
    means = {epsilon_db: np.mean(values["fgsm", epsilon_db]) for epsilon_db in EPSILONS}
    best = max(EPSILONS, key=lambda epsilon_db: means[epsilon_db])
    assert info.better == f"FGSM, ε = −{-best} dB"
    assert info.picked_from == (5, 1)

    def end(epsilon_db: int, level: float) -> float:
        differences = np.array(values["fgsm", epsilon_db]) - none
        return float(differences.mean() + stats.t.ppf(level, 3) * stats.sem(differences))

    assert info.low == pytest.approx(end(best, 0.025 / 5))
    assert info.high == pytest.approx(max(end(epsilon_db, 0.975) for epsilon_db in EPSILONS))


def test_better_than_the_best_means_better_than_each() -> None:
    record = study_of(
        {
            ("none", None): [0.50, 0.51, 0.52],
            ("fgsm", -65): [0.30, 0.42, 0.54],
            ("fgsm", -55): [0.42, 0.431, 0.44],
        },
        claim(NONE, BEST_EPSILON),
    )
    info = answered(record)
    assert (info.than, info.answer) == ("FGSM, ε = −55 dB", "undecided")
    assert info.low == pytest.approx(paired_low([0.20, 0.09, -0.02]))
    assert info.new_study is not None
    steady = replace(record, claims=(claim(NONE, {"adversary": "fgsm", "epsilon_db": -55}),))
    assert answered(steady).answer == "supported"


def paired_low(differences: list[float]) -> float:
    found = paired_difference(
        dict(enumerate(differences)), dict.fromkeys(range(len(differences)), 0.0)
    )
    assert found is not None and found.interval.low is not None
    return found.interval.low


def test_words_of_a_supported_claim() -> None:
    record = study_of(
        {
            ("none", None): [0.10, 0.11, 0.12],
            ("fgsm", -55): [0.50, 0.52, 0.51],
            ("fgsm", -45): [0.3, 0.3, 0.3],
        },
        claim(),
    )
    assert answered(record).words == (
        "Supported at the first look: FGSM, ε = −55 dB is ahead of no adversary by 0.400 in dev "
        "mAP over 3 shared seeds, 95 % interval [0.364, 0.425] "
        "(widened for picking the first from 2 settings). "
        "Together with further looks: [0.349, 0.436]. "
        "The interval is over seeds alone: the held-out clips are held fixed."
    )


def test_a_claim_is_interim_until_every_trial_has_ended() -> None:
    cells: dict[CellKey, list[float]] = {
        ("none", None): [0.10, 0.11, 0.12],
        ("fgsm", -55): [0.50, 0.52, 0.51],
    }
    info = answered(study_of(cells, claim(), planned=10))
    assert (info.answer, info.low, info.high) == ("interim", None, None)
    assert info.words == (
        "Interim, 6 of 10 trials ended: FGSM, ε = −55 dB is ahead of no adversary by 0.400 in dev "
        "mAP over 3 shared seeds. The answer waits for every planned trial."
    )
    spent = study_of(cells, claim(), planned=10, budget_spent="the budget of 2 h is spent")
    assert spent.finished
    assert answered(spent).answer == "interim"
    assert answered(spent).words.endswith("every planned trial; the budget of 2 h is spent.")


def test_a_claim_that_the_seeds_contradict() -> None:
    record = study_of(
        {("none", None): [0.50, 0.52, 0.51], ("fgsm", -55): [0.10, 0.11, 0.12]}, claim()
    )
    info = answered(record)
    assert info.answer == "contradicted"
    assert info.words.startswith(
        "Contradicted at the first look: FGSM, ε = −55 dB is behind no adversary by 0.400 in dev "
        "mAP over 3 shared seeds, 95 % interval [−0.425, −0.375]."
    )


@pytest.mark.parametrize(("looks", "ordinal"), [(1, "first"), (2, "second"), (4, "4th")])
def test_each_further_look_halves_the_error(looks: int, ordinal: str) -> None:
    differences = np.array([0.10, 0.12, 0.14, 0.09])
    cells: dict[CellKey, list[float]] = {
        ("none", None): [0.3] * 4,
        ("fgsm", -55): (0.3 + differences).tolist(),
    }
    info = answered(study_of(cells, claim(), looks=looks))
    low, high = stats.t.interval(
        1 - 0.05 / 2**looks, 3, loc=differences.mean(), scale=stats.sem(differences)
    )
    assert (info.joint_low, info.joint_high) == pytest.approx((low, high))
    assert f"at the {ordinal} look" in info.words
    first = answered(study_of(cells, claim()))
    assert (info.low, info.high) == (first.low, first.high)


def test_a_seed_without_a_result_counts_against_its_side() -> None:
    ours = [0.50, 0.52, 0.51, 0.53, 0.50, 0.49, 0.52, math.nan]
    theirs = [0.10, 0.11, 0.12, 0.10, 0.13, 0.11, 0.12, 0.10]
    info = answered(study_of({("none", None): theirs, ("fgsm", -55): ours}, claim()))
    # Of eight seeds seven are ahead: by the sign test the median may still be at most 0.
    assert (info.answer, info.lacking) == ("undecided", (1, 0))
    assert (
        "FGSM, ε = −55 dB lacks 1 of 8 seeds (1 diverged), which counts against it." in info.words
    )
    # A seed that the other side lacks is no reason to doubt the lead on the other seven.
    spared = answered(
        study_of(
            {("none", None): [*theirs[:7], math.nan], ("fgsm", -55): [*ours[:7], 0.5]},
            claim(FGSM, NONE),
        )
    )
    assert (spared.answer, spared.lacking) == ("supported", (0, 1))
    assert "No adversary lacks 1 of 8 seeds (1 diverged)" in spared.words


def test_claims_of_one_study_are_decided_together() -> None:
    """By Holm: the third smallest of four p-values is compared with α / 2."""
    spread = np.array([-1.0, 0.0, 1.0, -0.5, 0.5])
    t = stats.t.isf(np.array([0.001, 0.004, 0.0061, 0.02]), 4)
    cells: dict[CellKey, list[float]] = {("none", None): [0.4] * 5}
    for epsilon_db, each in zip(EPSILONS, t, strict=False):
        values = spread * 0.01
        lead = each * values.std(ddof=1) / math.sqrt(5)
        cells["fgsm", epsilon_db] = (0.4 + lead + values).tolist()
    claims = [claim({"adversary": "fgsm", "epsilon_db": each}) for each in EPSILONS[:4]]
    infos = claim_infos(study_of(cells, *claims))
    # At α = 0.0125 a side: 0.001 ≤ α/4, 0.004 ≤ α/3, 0.0061 ≤ α/2, and 0.02 > α.
    assert [info.answer for info in infos] == ["supported"] * 3 + ["undecided"]
    assert [info.joint_low for info in infos[:3]] == pytest.approx([0.0] * 3)
    last = infos[3]
    # The last claim is held to all of the error: the others are decided.
    values = np.array(cells["fgsm", EPSILONS[3]]) - 0.4
    assert last.joint_low == pytest.approx(
        values.mean() + stats.t.ppf(0.0125, 4) * stats.sem(values)
    )
    assert last.joint_high == pytest.approx(
        values.mean() - stats.t.ppf(0.0125 / 4, 4) * stats.sem(values)
    )
    assert "Together with the 3 other claims and further looks: " in last.words
    alone = claim_infos(study_of(cells, claims[2]))
    assert alone[0].answer == "supported"


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=9), st.sampled_from([0.05, 0.0125, 0.2]))
def test_holm_is_statsmodels_step_down(p_values: list[float], level: float) -> None:
    """A value whose lower end reaches 0 at its p-value is above 0 wherever Holm rejects it."""
    ends = [lambda error, p=p: math.log(error / p) for p in p_values]
    above, lows = holm(ends, level)
    rejected = set()
    for step, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[index] >= level / (len(p_values) - step):
            break
        rejected.add(index)
    assert above == rejected
    for index, low in enumerate(lows):
        assert low >= 0 if index in rejected else low <= 0


def test_scores_by_clip_widen_a_claim() -> None:
    """The lead is on every seed, and from one clip of ten: seeds alone would support it."""
    random = np.random.default_rng(0)
    ours, theirs = (0.4 + crossed(random, 4, 10, (0.001, 0, 0.001)) for _ in range(2))
    ours[:, 0] += 0.3
    sides = claim({"width": 1}, {"width": 0})
    with_clips = answered(study_of_clips([theirs, ours], [sides]))
    seeds_alone = answered(study_of_seeds([theirs.mean(1), ours.mean(1)], [sides]))
    assert (seeds_alone.answer, with_clips.answer) == ("supported", "undecided")
    assert "Of its variance, 0 % is the seeds' and 100 % the held-out clips'." in with_clips.words


def test_clips_of_other_recordings_are_not_combined() -> None:
    record = study_of_clips(
        [np.full((3, 4), 0.25), np.full((3, 4), 0.5)], [claim({"width": 1}, {"width": 0})]
    )
    other = by_recording(["x", "y", "z", "w"], ["a"] * 4, {"dev_map": np.full(4, 0.5)})
    mixed = tuple(
        replace(each, clips=other) if each.knobs["width"] == 1 else each for each in record.trials
    )
    assert answered(replace(record, trials=mixed)).difference == PairedDifference(
        Interval(0.25, None, None, 3), None, None, (0, 1, 2)
    )


def test_a_lead_stays_inside_the_range_of_its_metric() -> None:
    cells: dict[CellKey, list[float]] = {
        ("none", None): [0.05, 0.0, 0.2],
        ("fgsm", -55): [0.99, 0.6, 0.9],
    }
    info = answered(study_of(cells, claim()))
    assert info.joint_high == 1.0


def test_an_undecided_claim_says_what_a_new_study_would_take() -> None:
    record = study_of(
        {("none", None): [0.30, 0.50, 0.41, 0.45], ("fgsm", -55): [0.34, 0.52, 0.40, 0.49]}, claim()
    )
    info = answered(record)
    assert info.answer == "undecided"
    assert info.words == (
        "Undecided at the first look: FGSM, ε = −55 dB is ahead of no adversary by 0.023 in dev "
        "mAP over 4 shared seeds, 95 % interval [−0.015, 0.060]. "
        "Together with further looks: [−0.027, 0.072]. "
        "The interval is over seeds alone: the held-out clips are held fixed. "
        "A new study would need about 23 seeds to detect such a lead (95 % interval 5 to ∞)."
    )


@pytest.mark.parametrize(
    ("none", "fgsm", "words"),
    [
        ([0.3], [0.9], "which gives no interval. An interval needs 3 shared seeds."),
        ([0.3, 0.4], [0.5, 0.45], "which gives no interval. An interval needs 3 shared seeds."),
        (
            [0.3, 0.5, 0.4],
            [0.4, 0.4, 0.4],
            "A new study would need more than 1024 seeds to detect such a lead "
            "(95 % interval 11 to ∞).",
        ),
        (
            [0.3, math.nan],
            [math.nan, 0.4],
            "FGSM, ε = −55 dB and no adversary share no seed, which gives no interval. "
            "FGSM, ε = −55 dB lacks 1 of 2 seeds (1 diverged), which counts against it. "
            "No adversary lacks 1 of 2 seeds (1 diverged), which counts against it.",
        ),
        (
            [0.3],
            [math.nan],
            "Undecided: no complete trial of 'better' has measured dev mAP (1 diverged).",
        ),
    ],
)
def test_too_little_to_go_by_is_said_in_words(
    none: list[float], fgsm: list[float], words: str
) -> None:
    info = answered(study_of({("none", None): none, ("fgsm", -55): fgsm}, claim()))
    assert info.answer == "undecided"
    assert info.words.endswith(words)


def test_a_margin_must_be_exceeded() -> None:
    cells: dict[CellKey, list[float]] = {
        ("none", None): [0.10, 0.11, 0.12],
        ("fgsm", -55): [0.14, 0.155, 0.16],
    }
    answers = {
        margin: answered(study_of(cells, claim(margin=margin))).answer
        for margin in (0.0, 0.03, 0.04, 0.06)
    }
    assert answers == {
        0.0: "supported",
        0.03: "supported",
        0.04: "undecided",
        0.06: "contradicted",
    }


def test_losses_are_better_when_small_unless_told() -> None:
    trials: list[TrialRecord] = []
    for adversary, level in (("none", 9.0), ("gaussian", 7.0)):
        metrics = [{"dev_map": 0.5, "dev_loss": level + level**2 * seed / 99} for seed in range(3)]
        trials += [
            trial(len(trials) + seed, {"adversary": adversary}, seed, metrics=each)
            for seed, each in enumerate(metrics)
        ]
    gaussian = {"adversary": "gaussian"}
    record = study(
        trials,
        claims=(
            claim(gaussian, metric="dev_loss"),
            claim(gaussian, metric="dev_loss", direction="maximize"),
        ),
    )
    assert [info.answer for info in claim_infos(record)] == ["supported", "contradicted"]


def test_cells_without_a_result_still_count_as_picked_from() -> None:
    nan = math.nan
    record = study_of(
        {
            ("none", None): [0.1, 0.11, 0.12],
            ("fgsm", -55): [0.2, 0.22, 0.21],
            ("fgsm", -45): [nan, nan, nan],
        },
        claim(),
    )
    assert answered(record).picked_from == (2, 1)


def test_a_seed_missing_elsewhere_does_not_prevent_support() -> None:
    """The missing seed is that of another cell from which the better one was picked."""
    nan = math.nan
    record = study_of(
        {
            ("none", None): [0.1, 0.11, 0.12],
            ("fgsm", -55): [0.5, 0.52, 0.51],
            ("fgsm", -45): [nan, nan, 0.3],
        },
        claim(),
    )
    info = answered(record)
    assert (info.answer, info.high) == ("supported", None)
    assert "[0.364, ∞)" in info.words


def test_every_synthetic_study_answers() -> None:
    for record in (
        records.epsilon_study(),
        records.running_study(),
        records.empty_study(),
        records.search_study(),
    ):
        assert answered(replace(record, claims=(claim(),))).words.endswith(".")
