"""First weights: which of them let a small model leave the constant answer, in every cell?

    cpc data import recordings/ --out corpora/mine --clip-s 2
    python -m tests.benchmarks.initialisation corpora/mine runs.jsonl
    python -m tests.benchmarks.initialisation --table runs.jsonl

Trains every similarity × sampling × τ with every kind of first weights and several seeds, and
appends a line of JSON for each run, with the ranking accuracy on held-out clips before the first
step and after the last. Runs that the file has are not repeated: several processes with `--share`
can work on one file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.reading.batches import batches_in_process, crop
from cpc_core.corpus.sample import open_corpus
from cpc_core.evaluation.collapse import CollapseDetector, chance_margin
from cpc_core.evaluation.held_out import evaluate
from cpc_core.model.initialise import initialise
from cpc_core.step import StepMetrics, TrainState, train_step

KINDS = ("plain", "pytorch", "standardised", "regression")


SIMILARITIES = ("dot", "cosine", "nonlinear_cosine")


CELLS = tuple(itertools.product(SIMILARITIES, ("local", "cross", "exclusive"), (0.05, 1.0)))


def config_of(args: argparse.Namespace, run: Sequence[Any]) -> CpcConfig:
    """A run with every default but the scale."""
    kind, similarity, sampling, temperature, seed = run
    return CpcConfig.model_validate(
        {
            "data": {"batch_size": args.clips, "crop_s": args.seconds},
            "encoder": {"width": args.width},
            "similarity": {"kind": similarity},
            "objective": {"temperature": temperature},
            "negatives": {"sampling": sampling},
            "initialisation": {"kind": kind},
            "compute": {"precision": args.precision},
            "optimizer": {
                "learning_rate": args.learning_rate,
                "final_learning_rate": args.learning_rate / 100,
                "warmup_steps": args.warmup,
            },
            "training": {
                "steps": args.steps,
                "report_every": args.steps // 10,
                "dev_clips": args.dev_clips,
                "attacked_clips": 0,
            },
            "seed": seed,
        }
    )


def measure(config: CpcConfig, corpus: Corpus) -> dict[str, Any]:
    """Ranking on held-out clips before the first step, and how the training ends."""
    training, crop_s = config.training, config.data.crop_s
    assert crop_s is not None
    samples = round(crop_s * 16_000)
    state = TrainState.create(config, torch.device("cpu"))
    clips = corpus.draw_clips("dev", training.dev_clips)
    detector, reason, first = CollapseDetector(config), "", math.nan
    since: list[StepMetrics] = []
    for whole in batches_in_process(corpus, config.seed, config.data.batch_size, 0, training.steps):
        batch = crop(whole, samples, config.seed)
        if state.step == 0:
            initialise(
                state.model,
                batch.audio,
                config.initialisation,
                config.negatives.count,
                batch.num_samples,
            )
            first = evaluate(state.model, config, clips, samples).ranking_accuracy
        since.append(train_step(state, batch))
        if state.step % training.report_every == 0:
            rankings = torch.stack([step.ranking_accuracy for step in since]).double()
            metrics = {
                f"train_{each.name}": fmean(float(vars(step)[each.name]) for step in since)
                for each in fields(StepMetrics)
            }
            margin = chance_margin(rankings, len(since) * config.data.batch_size)
            reason = detector.collapse(state.step, metrics, margin)
            since = []
    measured = evaluate(state.model, config, clips, samples)
    return {
        "first": first,
        "ranking": measured.ranking_accuracy,
        "balanced": measured.balanced_accuracy,
        "loss": measured.loss,
        "reason": reason,
    }


def print_table(file: Path) -> None:
    """Mean ranking accuracies and lost runs of each cell and kind, and before the first step."""
    runs = [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines()]
    cells, firsts = defaultdict(list), defaultdict(list)
    for run in runs:
        kind, similarity, *cell, _ = run["run"]
        cells[similarity, *cell, kind].append(run)
        firsts[similarity, kind].append(run["first"])
    kinds = [kind for kind in KINDS if any(run["run"][0] == kind for run in runs)]
    print("| similarity | before the first step:", *kinds, "|", sep=" | ")
    for similarity in SIMILARITIES:
        found = [firsts[similarity, kind] for kind in kinds]
        print(f"| {similarity} |", *(f"{_mean_error(values)}" for values in found), "|", sep=" | ")
    print("| similarity | sampling | τ |", *kinds, "|", sep=" | ")
    for cell in CELLS:
        texts = []
        for kind in kinds:
            done = cells[(*cell, kind)]
            lost = sum(bool(run["reason"]) for run in done)
            texts.append(
                _mean_error([run["ranking"] for run in done])
                + (f" ({lost} of {len(done)} lost)" if lost else "")
            )
        print("|", " | ".join([cell[0], cell[1], f"{cell[2]:g}", *texts]), "|")


def _mean_error(values: list[float]) -> str:
    if not values:
        return "–"
    spread = stdev(values) / len(values) ** 0.5 if len(values) > 1 else math.nan
    return f"{fmean(values):.3f} ± {spread:.3f}"


def main() -> None:
    """Adds the runs that a file lacks, or prints its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", nargs="?")
    parser.add_argument("runs", type=Path)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--share", type=int, nargs=2, default=[0, 1], help="number, of how many")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--dev-clips", type=int, default=128)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--warmup", type=int, default=100)
    args = parser.parse_args()
    if args.table:
        print_table(args.runs)
        return
    torch.set_num_threads(1)
    corpus = open_corpus(args.corpus)
    number, of = args.share
    # Seed by seed, so that a file that is not complete has every cell.
    wanted = itertools.product(args.seeds, CELLS, args.kinds)
    for seed, cell, kind in itertools.islice(wanted, number, None, of):
        run = [kind, *cell, seed]
        done = args.runs.read_text(encoding="utf-8") if args.runs.exists() else ""
        if any(json.loads(text)["run"] == run for text in done.splitlines()):
            continue
        line = json.dumps({"run": run, **measure(config_of(args, run), corpus)})
        with args.runs.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
