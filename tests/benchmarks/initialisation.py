"""Does a small model leave the constant answer? Every similarity × sampling × τ, with PyTorch's
first weights and with ours.

    cpc data import recordings/ --out corpora/mine --clip-s 2
    python -m tests.benchmarks.initialisation corpora/mine

Prints, for each cell, the mean loss, balanced accuracy and ranking accuracy of the last twenty
steps, and the latents' spread.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import fields

import torch

from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.reading.batches import batches_in_process, crop
from cpc_core.corpus.sample import open_corpus
from cpc_core.model.initialise import initialise
from cpc_core.objective.objective import constant_answer_loss
from cpc_core.step import StepMetrics, TrainState, train_step

LAST = 20


SHOWN = ("loss", "balanced_accuracy", "ranking_accuracy", "latent_spread")


def config_of(
    args: argparse.Namespace, similarity: str, sampling: str, temperature: float, *, ours: bool
) -> CpcConfig:
    """A cell with every default but the scale."""
    return CpcConfig.model_validate(
        {
            "data": {"batch_size": args.clips, "crop_s": args.seconds},
            "encoder": {"width": args.width},
            "similarity": {"kind": similarity},
            "objective": {"temperature": temperature},
            "negatives": {"sampling": sampling},
            "adversary": {"kind": args.adversary},
            "initialisation": {"data_dependent": ours},
            "compute": {"precision": args.precision},
            "optimizer": {"learning_rate": args.learning_rate},
            "seed": args.seed,
        }
    )


def last_steps(config: CpcConfig, corpus: Corpus, steps: int) -> dict[str, float]:
    """Means over the last steps of a short training."""
    state = TrainState.create(config, torch.device("cpu"))
    measured: list[StepMetrics] = []
    for whole in batches_in_process(corpus, config.seed, config.data.batch_size, 0, steps):
        assert config.data.crop_s is not None
        batch = crop(whole, round(config.data.crop_s * 16_000), config.seed)
        if state.step == 0:
            initialise(state.model, batch.audio, config.initialisation, config.negatives.count)
        measured.append(train_step(state, batch))
    return {
        name.name: sum(float(vars(step)[name.name]) for step in measured[-LAST:]) / LAST
        for name in fields(StepMetrics)
    }


def main() -> None:
    """Prints one line for each cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--adversary", default="none")
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--similarity", nargs="+", default=["dot", "cosine", "nonlinear_cosine"])
    parser.add_argument("--sampling", nargs="+", default=["local", "cross", "exclusive"])
    parser.add_argument("--temperature", type=float, nargs="+", default=[0.05, 1.0])
    args = parser.parse_args()
    corpus = open_corpus(args.corpus)
    first = config_of(args, "dot", "cross", 1.0, ours=True)
    print(
        "constant answer: loss "
        f"{constant_answer_loss(first.objective, first.negatives.count):.2f}, balanced .500, "
        "ranking .333"
    )
    print("loss / balanced / ranking / spread after", args.steps, "steps, before → after")
    for cell in itertools.product(args.similarity, args.sampling, args.temperature):
        both = [
            last_steps(config_of(args, *cell, ours=ours), corpus, args.steps)
            for ours in (False, True)
        ]
        before, after = (" / ".join(f"{measured[name]:.3f}" for name in SHOWN) for measured in both)
        print(f"{cell[0]:16} {cell[1]:9} τ = {cell[2]:<4g}  {before}  →  {after}", flush=True)


if __name__ == "__main__":
    main()
