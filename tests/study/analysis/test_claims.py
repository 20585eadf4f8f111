from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from study.analysis.claims import ClaimInfo, claim_infos
from study.analysis.statistics import paired_difference
from study.results.records import StudyRecord, TrialRecord
from study.spec.claims import Claim
from tests.helpers import records
from tests.helpers.records import study, trial

CellKey = tuple[str, float | None]
"""Adversary and ε."""

EPSILONS = (-75, -65, -55, -45, -35)
BEST_EPSILON = {"adversary": "fgsm", "epsilon_db": "best"}
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


def simulated(
    random: np.random.Generator, seeds: int, effects: Mapping[CellKey, float]
) -> StudyRecord:
    """Cells that share each seed's variance, as paired seeds do, and have some of their own."""
    common = random.normal(0, 0.03, seeds)
    cells = {
        cell: (0.4 + effect + common + random.normal(0, 0.01, seeds)).tolist()
        for cell, effect in effects.items()
    }
    return study_of(cells, claim())


def cells_with(effect: Callable[[float], float]) -> dict[CellKey, float]:
    return {
        ("none", None): 0.0,
        **{("fgsm", epsilon_db): effect(epsilon_db) for epsilon_db in EPSILONS},
    }


@pytest.mark.parametrize("seeds", [3, 8])
def test_at_zero_effect_at_most_5_percent_are_supported(seeds: int) -> None:
    random, studies = np.random.default_rng(seeds), 1000
    infos = [answered(simulated(random, seeds, cells_with(lambda _: 0.0))) for _ in range(studies)]
    assert sum(info.answer == "supported" for info in infos) / studies <= 0.05
    # The same data, had picking the best of five not been allowed for.
    naive = [info.difference.interval.low for info in infos if info.difference is not None]
    assert sum(low is not None and low > 0 for low in naive) / studies > 0.05


def test_picking_on_both_sides_is_allowed_for_too() -> None:
    random, studies, supported = np.random.default_rng(1), 600, 0
    sides = claim(
        {"similarity": "dot", "temperature": "best"},
        {"similarity": "cosine", "temperature": "best"},
    )
    for _ in range(studies):
        trials: list[TrialRecord] = []
        for similarity in ("dot", "cosine"):
            for temperature in (1.0, 0.3, 0.1, 0.05):
                values = random.normal(0.4, 0.01, 4).tolist()
                knobs = {"similarity": similarity, "temperature": temperature}
                trials += [
                    trial(len(trials) + seed, knobs, seed, metrics={"dev_map": value})
                    for seed, value in enumerate(values)
                ]
        supported += answered(study(trials, claims=(sides,))).answer == "supported"
    assert supported / studies <= 0.05


@pytest.mark.parametrize("seeds", [3, 8])
def test_the_interval_covers_the_true_lead(seeds: int) -> None:
    """95 ± 2 % where nothing is picked; at least that where the best of five is."""
    random, studies = np.random.default_rng(seeds), 2000
    one: dict[CellKey, float] = {("none", None): 0.0, ("fgsm", -55): 0.015}
    covered = [_covers(answered(simulated(random, seeds, one)), 0.015) for _ in range(studies)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)
    bump = cells_with(lambda epsilon_db: 0.015 * math.exp(-(((epsilon_db + 55) / 12) ** 2)))
    covered = [_covers(answered(simulated(random, seeds, bump)), 0.015) for _ in range(800)]
    assert np.mean(covered) >= 0.93


def _covers(info: ClaimInfo, true: float) -> bool:
    assert info.low is not None and info.high is not None
    return info.low <= true <= info.high


def test_an_effect_that_is_there_is_found() -> None:
    random = np.random.default_rng(0)
    effects = cells_with(lambda epsilon_db: 0.03 if epsilon_db == -55 else 0.0)
    answers = [answered(simulated(random, 8, effects)).answer for _ in range(200)]
    assert answers.count("supported") / 200 > 0.8
    assert "not supported" not in answers


def test_the_interval_is_bonferronis() -> None:
    values = {
        cell: np.random.default_rng(index).normal(0.4, 0.01, 4).tolist()
        for index, cell in enumerate(cells_with(lambda _: 0.0))
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
    # d_z of the noisy one is 0.82, Hedges' g 0.46.
    assert info.more_seeds == 39 - 3
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
        "Supported: FGSM, ε = −55 dB is ahead of no adversary by 0.400 in dev mAP "
        "over 3 shared seeds, 95 % interval [0.364, 0.425] "
        "(widened for picking the first from 2 settings)."
    )
    running = replace(record, planned=20)
    assert answered(running).words.startswith("Supported so far: ")


def test_a_claim_that_the_seeds_contradict_is_not_supported() -> None:
    record = study_of(
        {("none", None): [0.50, 0.52, 0.51], ("fgsm", -55): [0.10, 0.11, 0.12]}, claim()
    )
    info = answered(record)
    assert info.answer == "not supported"
    assert info.words.startswith(
        "Not supported: FGSM, ε = −55 dB is behind no adversary by 0.400 in dev mAP "
        "over 3 shared seeds"
    )
    assert info.words.endswith("95 % interval [−0.425, −0.375].")


def test_an_undecided_claim_says_what_it_would_take() -> None:
    record = study_of(
        {("none", None): [0.30, 0.50, 0.41, 0.45], ("fgsm", -55): [0.34, 0.52, 0.40, 0.49]}, claim()
    )
    info = answered(record)
    # d_z = 0.95, Hedges' g = 0.69: 19 seeds by the tables.
    assert (info.answer, info.more_seeds) == ("undecided", 15)
    assert info.words == (
        "Undecided at n = 4: FGSM, ε = −55 dB is ahead of no adversary by 0.023 in dev mAP "
        "over 4 shared seeds, 95 % interval [−0.015, 0.060]. "
        "About 15 more seeds would decide it, if lead and spread are what these seeds show."
    )


@pytest.mark.parametrize(
    ("none", "fgsm", "words"),
    [
        (
            [0.3],
            [0.9],
            "which gives no interval. At least 3 shared seeds are needed to say how many it takes.",
        ),
        ([0.3, 0.4], [0.5, 0.45], "At least 3 shared seeds are needed to say how many it takes."),
        (
            [0.3, 0.5, 0.4],
            [0.4, 0.4, 0.4],
            "A lead this small beside its spread would not be significant with 1024 seeds.",
        ),
        (
            [0.3, math.nan],
            [math.nan, 0.4],
            "Undecided: FGSM, ε = −55 dB and no adversary share no seed.",
        ),
        ([0.3], [math.nan], "Undecided: no complete trial of 'better' has measured dev mAP."),
    ],
)
def test_too_little_to_go_by_is_said_in_words(
    none: list[float], fgsm: list[float], words: str
) -> None:
    info = answered(study_of({("none", None): none, ("fgsm", -55): fgsm}, claim()))
    assert (info.answer, info.more_seeds) == ("undecided", None)
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
        0.06: "not supported",
    }


def test_losses_are_better_when_small_unless_told() -> None:
    trials: list[TrialRecord] = []
    for adversary, level in (("none", 9.0), ("gaussian", 7.0)):
        metrics = [{"dev_map": 0.5, "dev_loss": level + seed / 10} for seed in range(3)]
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
    assert [info.answer for info in claim_infos(record)] == ["supported", "not supported"]


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
