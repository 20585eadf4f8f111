"""Synthetic study records: the shapes that studies have in practice, with invented numbers."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from cpc_core.report import Outcome, Report
from study.results.history import GivenHistory
from study.results.records import StudyRecord, TrialRecord

CONSTANT = 2 / 3
STEPS = 1200


def trial(
    number: int,
    knobs: Mapping[str, Any],
    seed: int,
    outcome: Outcome = "complete",
    metrics: Mapping[str, float] | None = None,
    *,
    history: tuple[Report, ...] = (),
    reason: str = "",
    duration_s: float = 0.0,
) -> TrialRecord:
    cell = hashlib.sha256(repr(sorted(knobs.items())).encode()).hexdigest()[:12]
    identity = hashlib.sha256(f"{cell}/{seed}".encode()).hexdigest()[:12]
    return TrialRecord(
        number,
        identity,
        cell,
        seed,
        dict(knobs),
        outcome,
        reason,
        dict(metrics or {}),
        history[-1].step if history else 0,
        GivenHistory(history),
        duration_s,
    )


def with_history(record: TrialRecord, history: tuple[Report, ...], **changes: Any) -> TrialRecord:
    """The trial with other reports."""
    step = history[-1].step if history else 0
    return replace(record, history=GivenHistory(history), step=step, **changes)


def study(
    trials: Sequence[TrialRecord], *, planned: int | None = None, **changes: Any
) -> StudyRecord:
    record = StudyRecord(
        name="demo",
        question=(
            "Which similarity and temperature give the best representation of the bundled audio?"
        ),
        metric="dev_map",
        direction="maximize",
        planned=len(trials) if planned is None else planned,
        trials=tuple(trials),
        corpus="sample: 106 clips, 2.8 min, 12 classes",
        provenance={
            "cpc_study": "0.1.0",
            "torch": "2.14.0",
            "hardware": {"cpus": 2, "memory_gib": 16},
            "spec_sha256": "5f0c" * 16,
        },
    )
    return replace(record, **changes)


def _curve(
    final: float, until: int, noise: random.Random, *, collapsed: bool = False
) -> tuple[Report, ...]:
    reports = []
    for step in range(50, until + 1, 50):
        risen = 0.0 if collapsed else 1 / (1 + math.exp(-(step - 260) / 110))
        dev = CONSTANT + (final - CONSTANT) * risen + (0 if collapsed else noise.gauss(0, 0.004))
        train = dev + (0 if collapsed else 0.03 * risen + noise.gauss(0, 0.004))
        reports.append(
            Report(
                step,
                {"train_accuracy": train, "dev_accuracy": dev, "train_loss": 15.28 - 9 * risen},
            )
        )
    return tuple(reports)


def _complete(
    number: int,
    knobs: Mapping[str, Any],
    seed: int,
    accuracy: float,
    score: float,
    noise: random.Random,
) -> TrialRecord:
    history = _curve(accuracy + noise.gauss(0, 0.006), STEPS, noise)
    metrics = {
        "train_accuracy": history[-1].metrics["train_accuracy"],
        "dev_accuracy": history[-1].metrics["dev_accuracy"],
        "dev_map": score + noise.gauss(0, 0.009),
        "clips_per_s": 61.0,
    }
    return trial(
        number, knobs, seed, metrics=metrics, history=history, duration_s=38.0 + 9 * noise.random()
    )


def _collapsed(
    number: int, knobs: Mapping[str, Any], seed: int, noise: random.Random
) -> TrialRecord:
    history = _curve(CONSTANT, 250, noise, collapsed=True)
    reason = "dev accuracy stayed at the constant answer 0.6667 for 5 reports in a row"
    return trial(
        number,
        knobs,
        seed,
        "diverged",
        history[-1].metrics,
        history=history,
        reason=reason,
        duration_s=9.0,
    )


def temperature_study(temperatures: Sequence[float] = (1.0, 0.05), seeds: int = 2) -> StudyRecord:
    noise = random.Random(1)
    trials: list[TrialRecord] = []
    for similarity, temperature, seed in product(
        ("dot", "nonlinear_cosine"), temperatures, range(seeds)
    ):
        tilt = math.log(temperature / 0.22) / 3
        score = 0.455 + (0.016 * tilt if similarity == "dot" else 0.012 - 0.034 * tilt)
        accuracy = 0.80 + (0.02 * tilt if similarity == "dot" else -0.04 * tilt)
        knobs = {"similarity": similarity, "temperature": temperature}
        trials.append(_complete(len(trials), knobs, seed, accuracy, score, noise))
    return study(trials, name="figure1_temperature" if len(temperatures) > 2 else "demo")


def epsilon_study(seeds: int = 3) -> StudyRecord:
    noise = random.Random(2)
    trials: list[TrialRecord] = []
    cells: list[dict[str, Any]] = [
        {"adversary": "none"},
        {"adversary": "gaussian", "epsilon_db": -55.0},
    ]
    cells += [{"adversary": "fgsm", "epsilon_db": float(db)} for db in (-75, -65, -55, -45, -35)]
    for knobs, seed in product(cells, range(seeds)):
        db = knobs.get("epsilon_db", -90.0)
        attacked = knobs["adversary"] == "fgsm"
        score = 0.47 + (
            0.022 * math.exp(-(((db + 55) / 12) ** 2)) - 0.008 * (db > -40) if attacked else 0.001
        )
        trials.append(
            _complete(
                len(trials),
                knobs,
                seed,
                0.84 - (0.0016 * (db + 80) if attacked else 0),
                score,
                noise,
            )
        )
    return study(
        trials,
        name="table1_epsilon",
        question="Does training on adversarial audio help, and at which size of the perturbation?",
    )


def sampling_study(seeds: int = 3) -> StudyRecord:
    noise = random.Random(3)
    trials: list[TrialRecord] = []
    levels = {"local": (0.79, 0.452), "cross": (0.84, 0.461), "exclusive": (0.93, 0.425)}
    for (sampling, (accuracy, score)), seed in product(levels.items(), range(seeds)):
        trials.append(_complete(len(trials), {"negatives": sampling}, seed, accuracy, score, noise))
    return study(trials, name="table2_sampling", question="Where should negatives come from?")


def running_study() -> StudyRecord:
    """Two cells done, one trial collapsed, one running, the rest waiting or not yet stored."""
    done = list(temperature_study((1.0, 0.2, 0.05), 2).trials)
    noise = random.Random(4)
    trials = done[:5]
    trials.append(_collapsed(5, done[5].knobs, 1, noise))
    begun = done[6].history.reports[:9]
    half = with_history(
        done[6], begun, outcome="running", metrics=begun[-1].metrics, duration_s=0.0
    )
    trials.append(half)
    trials += [
        with_history(each, (), outcome="waiting", metrics={}, duration_s=0.0) for each in done[7:10]
    ]
    return study(trials, planned=12)


def diverged_study() -> StudyRecord:
    noise = random.Random(5)
    cells = [
        {"similarity": kind, "temperature": tau}
        for kind, tau in product(("dot", "nonlinear_cosine"), (1.0, 0.05))
    ]
    return study(
        [
            _collapsed(2 * index + seed, knobs, seed, noise)
            for index, knobs in enumerate(cells)
            for seed in range(2)
        ]
    )


def empty_study() -> StudyRecord:
    return study([], planned=8)


def search_study(count: int = 40) -> StudyRecord:
    """A search: a cell per trial, ε conditional on the adversary, some pruned, one failed."""
    noise = random.Random(6)
    trials: list[TrialRecord] = []
    for number in range(count):
        knobs: dict[str, Any] = {
            "similarity": noise.choice(("dot", "cosine", "nonlinear_cosine")),
            "temperature": 10 ** noise.uniform(-2, 0.3),
            "negatives": noise.choice(("local", "cross", "exclusive")),
            "adversary": noise.choice(("none", "fgsm")),
        }
        if knobs["adversary"] == "fgsm":
            knobs["epsilon_db"] = noise.uniform(-75, -35)
        score = 0.46 - 0.02 * (math.log10(knobs["temperature"]) + 1) ** 2
        full = _complete(number, knobs, 0, 0.82, score, noise)
        if number % 4 == 3:
            begun = full.history.reports[:6]
            full = with_history(
                full,
                begun,
                outcome="pruned",
                metrics=begun[-1].metrics,
                reason="below the median",
            )
        elif number == 9:
            full = with_history(
                full,
                (),
                outcome="failed",
                metrics={},
                reason="RuntimeError: <worker> died twice",
            )
        trials.append(full)
    return study(trials, name="search", question="What is best overall?")
