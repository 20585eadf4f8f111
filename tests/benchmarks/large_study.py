"""A study folder as a large study leaves it, made in a minute: nothing is trained.

The dispatcher, the journal, the metrics logs and the probe's files are the product's own; only the
numbers are made up. `python -m tests.benchmarks.large_study FOLDER [--trials N] [--reports N]`
"""

from __future__ import annotations

import argparse
import json
import math
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cpc_core.evaluation.clip_scores import ClipScores
from cpc_core.report import FinalOutcome, Report
from study.dispatch.dispatcher import Dispatcher
from study.dispatch.trial_spec import TrialSpec
from study.folders.study_folder import StudyFolder
from study.spec.study_spec import StudySpec
from tests.helpers.specs import TINY_BASE

SEEDS = 5
CLIPS, RECORDINGS, LABELS = 64, 24, 12

SPACE: dict[str, Any] = {
    "similarity": ["dot", "nonlinear_cosine"],
    "temperature": [0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0],
    "adversary": ["none", "fgsm"],
    "epsilon_db": {"values": [-75, -65, -55, -45], "when": {"adversary": ["fgsm"]}},
    "learning_rate": [1e-4, 2e-4, 5e-4, 1e-3],
}
"""400 cells, 2 000 trials with `SEEDS`."""


def large_spec(trials: int, reports: int) -> StudySpec:
    """A grid of about as many trials; with few there are fewer learning rates and temperatures."""
    rates = 4 if trials >= 2000 else 2 if trials >= 400 else 1
    temperatures = max(1, round(trials / (10 * rates * SEEDS)))
    space = {
        **SPACE,
        "temperature": SPACE["temperature"][:temperatures],
        "learning_rate": SPACE["learning_rate"][:rates],
    }
    base = {**TINY_BASE, "training": {**TINY_BASE["training"], "steps": 10 * reports}}
    return StudySpec.model_validate(
        {
            "name": "large",
            "question": "Which setting is best?",
            "base": base,
            "space": space,
            "seeds": list(range(SEEDS)),
            "resources": {"concurrent_trials": 2, "cpus_per_worker": 1},
        }
    )


def make(folder: Path, trials: int, reports: int, *, left: int = 0) -> None:
    """Makes the study, with the last `left` trials waiting."""
    spec = large_spec(trials, reports)
    store = Dispatcher.create_or_open(StudyFolder(folder), spec, "c" * 64, "sample: 106 clips")
    try:
        for _ in range(spec.planned_trials - left):
            train_one(store)
    finally:
        store.close()


def train_one(store: Dispatcher) -> None:
    """Ends the next trial with all that its training would have left."""
    trial = store.ask()
    if trial is None:
        raise ValueError("every trial of the study has ended")
    noise = random.Random(trial.number)
    outcome: FinalOutcome = "complete"
    if noise.random() < 0.08:
        outcome = noise.choice(("diverged", "pruned", "failed"))
    steps = trial.config.training.steps
    reached = steps if outcome == "complete" else steps // 3
    log = [_report(trial, step, noise) for step in range(10, reached + 1, 10)]
    score = _score(trial, noise)
    metrics = {**log[-1].metrics, "dev_map": score, "dev_probe_accuracy": score + 0.2}
    folder = store.trial_folder(trial.number)
    if outcome == "complete":
        log[-1] = Report(reached, metrics, outcome, "", log[-1].elapsed_s)
        folder.save_clip_scores(_clip_scores(score, trial.number))
    else:
        metrics = dict(log[-1].metrics)
    text = "".join(json.dumps(_line(report)) + "\n" for report in log)
    (folder.path / "metrics.jsonl").write_text(text)
    store.tell(trial.number, outcome, metrics, "" if outcome == "complete" else "made up")


def _line(report: Report) -> dict[str, Any]:
    line = asdict(report)
    del line["clip_scores"]
    return line


def _score(trial: TrialSpec, noise: random.Random) -> float:
    sample = trial.sample
    off = math.log10(float(sample["temperature"] or 1) / 0.1)
    helped = 0.01 if sample["adversary"] == "fgsm" else 0.0
    dot = 0.01 if sample.get("similarity") == "dot" else 0.0
    return 0.46 + helped - dot - 0.02 * off**2 + noise.gauss(0, 0.009)


def _report(trial: TrialSpec, step: int, noise: random.Random) -> Report:
    """A line with the metrics of a training with an adversary."""
    risen = 1 / (1 + math.exp(-(step / trial.config.training.steps - 0.3) / 0.1))
    dev = 2 / 3 + 0.2 * risen * (1 + 0.1 * (trial.number % 7)) / 1.7 + noise.gauss(0, 0.004)
    accuracies = dict.fromkeys(
        (
            "dev_accuracy",
            "dev_balanced_accuracy",
            "dev_ranking_accuracy",
            "dev_attacked_clean_accuracy",
            "dev_fgsm_accuracy",
            "dev_one_step_accuracy",
            "dev_attack_accuracy",
            "train_accuracy",
            "train_balanced_accuracy",
            "train_ranking_accuracy",
        ),
        dev,
    )
    metrics = {name: value + noise.gauss(0, 0.004) for name, value in accuracies.items()}
    metrics |= {
        # Trainings log it at their end alone; here the journal is to have a value of every report.
        "dev_map": dev - 0.3,
        "train_loss": 15.28 - 9 * risen + noise.gauss(0, 0.1),
        "dev_loss": 15.28 - 8 * risen + noise.gauss(0, 0.1),
        "train_gradient_norm": 80 + noise.gauss(0, 5),
        "train_latent_spread": 0.7 + noise.gauss(0, 0.01),
        "latent_spread": 0.2 + noise.gauss(0, 0.01),
        "train_snr_db": 30 + noise.gauss(0, 1),
        "train_snr_db_p05": 13 + noise.gauss(0, 1),
        "train_snr_db_p95": 44 + noise.gauss(0, 1),
        "train_skipped_clips": 0.0,
        "clips_per_s": 60 + noise.gauss(0, 1),
        "learning_rate": 1e-4,
        "pool_clips": 8,
    }
    return Report(step, metrics, elapsed_s=0.1 * step)


def _clip_scores(score: float, number: int) -> ClipScores:
    noise = np.random.default_rng(number)
    values = {}
    for name in ("dev_map", "dev_probe_accuracy"):
        drawn = noise.normal(0, 0.3, CLIPS)
        mean = score if name == "dev_map" else score + 0.2
        values[name] = mean + drawn - drawn.mean()
    return ClipScores(
        np.arange(CLIPS),
        tuple(f"recording-{clip % RECORDINGS}" for clip in range(CLIPS)),
        tuple(f"label-{label}" for label in range(LABELS)),
        noise.random((CLIPS, LABELS)).astype(np.float16),
        tuple(f"label-{clip % LABELS}" for clip in range(CLIPS)),
        values,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--reports", type=int, default=100)
    parser.add_argument("--left", type=int, default=0)
    options = parser.parse_args()
    make(options.folder, options.trials, options.reports, left=options.left)


if __name__ == "__main__":
    main()
