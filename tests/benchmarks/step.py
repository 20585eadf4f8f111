"""The training step against what it could be: the ratios of one run, medians of interleaved
repeats, at the paper's geometry.

    python -m tests.benchmarks.step --width 64 256

On a GPU: `--width 512 --clips 64 --precision bfloat16` also prints the share of the measured
matrix-product peak.
"""

from __future__ import annotations

import argparse
import copy
import gc
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from cpc_core.config import CpcConfig
from cpc_core.corpus.reading.batches import Batch
from cpc_core.model.initialise import initialise
from cpc_core.model.precision import precision
from cpc_core.stateless_random import Purpose
from cpc_core.step import TrainState, clean_pass, step_negatives, train_step
from tests.benchmarks.straightforward import Straightforward, naive_step, straightforward_step

PAPER_GFLOP_PER_CLIP_S = {"clean": 34.2, "adversarial": 65.6}
"""At width 512, counted by operations; proportional to the width's square."""


def config_of(args: argparse.Namespace, width: int, kind: str, numbers: str) -> CpcConfig:
    """A trial at the paper's geometry, its projection as wide as its encoder, as in the paper."""
    return CpcConfig.model_validate(
        {
            "data": {"batch_size": args.clips},
            "encoder": {"width": width},
            "similarity": {"kind": "nonlinear_cosine", "hidden": width},
            "adversary": {"kind": kind},
            "compute": {"precision": numbers, "compile": args.compile},
        }
    )


class Given(nn.Module):
    """Stands for predictors whose predictions are already there."""

    def __init__(self, predictions: Tensor) -> None:
        super().__init__()
        self.predictions = predictions.detach().requires_grad_()

    def forward(self, _context: Tensor) -> Tensor:
        """Returns them."""
        return self.predictions


class Bench:
    """The steps to compare, on one batch of noise."""

    def __init__(self, args: argparse.Namespace, width: int, numbers: str) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        audio = (
            torch.randn(
                args.clips, round(args.seconds * 16_000), generator=torch.Generator().manual_seed(0)
            )
            * 0.1
        )
        self.batch = Batch(0, torch.arange(args.clips, device=self.device), audio.to(self.device))
        self.clean = self.state(config_of(args, width, "none", numbers))
        self.fgsm = self.state(config_of(args, width, "fgsm", numbers))
        self.naive = self.state(config_of(args, width, "fgsm", numbers))
        plain = self.state(config_of(args, width, "none", "float32"))
        self.plain_state = plain
        self.plain = Straightforward(plain.model, plain.config.encoder.strides).to(self.device)
        self.plain_optimizer = torch.optim.Adam(self.plain.parameters(), lr=1e-4, fused=True)
        with torch.no_grad():  # the same function, or the ratio says nothing
            (future, _), latents = self.plain(self.batch.audio)
            torch.testing.assert_close(
                latents, plain.model.encode(self.batch.audio), rtol=1e-2, atol=1e-2
            )
            torch.testing.assert_close(
                future, plain.model.contextualise(latents)[0], rtol=1e-2, atol=1e-2
            )
        with precision(self.clean.config.compute, self.device):
            passed = clean_pass(self.clean, self.batch)
            objective = self.clean.model.objective
            predictions = [
                predict(context)
                for predict, context in zip(objective.predictors, passed.contexts, strict=True)
            ]
        self.latents, self.contexts = passed.latents.detach().requires_grad_(), passed.contexts
        self.objective_alone = copy.deepcopy(objective)
        self.objective_alone.predictors = nn.ModuleList(
            Given(prediction) for prediction in predictions
        )

    def state(self, config: CpcConfig) -> TrainState:
        """An initialised trial."""
        state = TrainState.create(config, self.device)
        initialise(state.model, self.batch.audio, config.initialisation, config.negatives.count)
        return state

    def runs(self) -> dict[str, Callable[[], object]]:
        """What is timed, by name."""
        return {
            "clean": lambda: train_step(self.clean, self.batch),
            "adversarial": lambda: train_step(self.fgsm, self.batch),
            "naive": self.naive_run,
            "straightforward": lambda: straightforward_step(
                self.plain, self.plain_optimizer, self.batch, self.plain_state
            ),
            "objective": self.objective,
        }

    def naive_run(self) -> None:
        """Algorithm 1 in two whole passes, in the same precision."""
        with precision(self.naive.config.compute, self.device):
            naive_step(self.naive, self.batch, 10 ** (-55 / 20))

    def objective(self) -> None:
        """Sampling, similarity, loss, and their backward pass."""
        with precision(self.clean.config.compute, self.device):
            drawn = step_negatives(self.clean, self.batch, Purpose.NEGATIVES)
            loss = self.objective_alone(self.contexts, self.latents, drawn).loss
        loss.backward()


def seconds(run: Callable[[], object]) -> float:
    """Duration of one run, the device's work included."""
    begin = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def measure(bench: Bench, repeats: int) -> dict[str, float]:
    """Median seconds of each run, the runs taking turns."""
    durations: dict[str, list[float]] = {name: [] for name in bench.runs()}
    for repeat in range(repeats + 1):
        for name, run in bench.runs().items():
            duration = seconds(run)
            if repeat:
                durations[name].append(duration)
    return {name: statistics.median(values) for name, values in durations.items()}


def matmul_peak(device: torch.device, numbers: str) -> float:
    """Floating-point operations a second of a large matrix product, the best of several."""
    size = 8192 if device.type == "cuda" else 2048
    dtype = torch.bfloat16 if numbers == "bfloat16" else torch.float32
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / min(seconds(lambda: left @ right) for _ in range(8))


def main() -> None:
    """Prints one table for each width and precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, nargs="+", default=[64])
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    where = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"{platform.machine()} CPU, {args.threads} threads"
    )
    print(f"{where}, torch {torch.__version__}, {args.clips} clips of {args.seconds:g} s")
    for width in args.width:
        for numbers in args.precision:
            bench = Bench(args, width, numbers)
            t = measure(bench, args.repeats)
            flops = {
                kind: value * 1e9 * (width / 512) ** 2 * args.clips * args.seconds
                for kind, value in PAPER_GFLOP_PER_CLIP_S.items()
            }
            peak = matmul_peak(bench.device, numbers)
            print(
                f"width {width:4} {numbers:9} | adversarial ÷ clean "
                f"{t['adversarial'] / t['clean']:.2f}"
                f" | naive Algorithm 1 ÷ ours {t['naive'] / t['adversarial']:.2f}"
                f" | straightforward float32 ÷ ours, clean {t['straightforward'] / t['clean']:.2f}"
                f" | objective ÷ step {t['objective'] / t['clean']:.1%}"
                f" | clean {t['clean'] * 1e3:.0f} ms, adversarial {t['adversarial'] * 1e3:.0f} ms"
                " | of the matrix-product peak, adversarial "
                f"{flops['adversarial'] / t['adversarial'] / peak:.0%}",
                flush=True,
            )
            del bench
            gc.collect()


if __name__ == "__main__":
    main()
