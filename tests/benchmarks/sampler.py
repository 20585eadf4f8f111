"""Best of 64 configurations by the dispatcher, against plain `optuna.Study.optimize` with the same
sampler.

Both search the same made-up response surface with conditional parameters, with and without seed
noise. Over 20 seeds it prints the paired difference of the best points' true responses, ours minus
plain, with its 95 % interval. `python -m tests.benchmarks.sampler`
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import optuna

from search_spaces.samplers.base import draw
from study.analysis.statistics import paired_difference
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.spec.study_spec import StudySpec
from tests.benchmarks.surface import BEST, SPACE, response
from tests.helpers.specs import tiny_spec

POINTS, SEEDS = 64, 20


NOISE = 0.01
"""Standard deviation between seeds of the noisy case; the surface spans about 0.1."""


def spec_of(kind: str, seed: int, replicates: int = 1) -> StudySpec:
    # The spec's hash seeds the sampler; the name makes it another one for each seed.
    sampler = {"kind": kind, "trials": POINTS}
    return tiny_spec(
        name=f"surface{seed}", space=SPACE, sampler=sampler, seeds=list(range(replicates))
    )


def ours(spec: StudySpec, noise: random.Random, deviation: float) -> float:
    """True response of the configuration with the best measured mean, found by the dispatcher."""
    measured: dict[str, tuple[float, list[float]]] = {}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        dispatcher = Dispatcher.create_or_open(StudyFolder(Path(folder)), spec, "c" * 64, "")
        while (assignment := dispatcher.ask()) is not None:
            true = response(assignment.sample)
            value = true + noise.gauss(0, deviation)
            measured.setdefault(assignment.cell_id, (true, []))[1].append(value)
            dispatcher.tell(assignment.number, "complete", {"dev_map": value})
        dispatcher.close()
    return max(measured.values(), key=lambda point: sum(point[1]) / len(point[1]))[0]


def plain(spec: StudySpec, noise: random.Random, deviation: float, points: int) -> float:
    """True response of the best configuration by Optuna alone, one value each."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    first = int(spec.hash, 16) % 2**32
    study = optuna.create_study(direction="maximize", sampler=spec.sampler.build(first, first))

    def objective(trial: optuna.Trial) -> float:
        true = response(draw(spec.space, trial))
        trial.set_user_attr("true", true)
        return true + noise.gauss(0, deviation)

    study.optimize(objective, n_trials=points)
    return float(study.best_trial.user_attrs["true"])


def compare(kind: str, replicates: int, deviation: float) -> str:
    found: list[dict[int, float]] = [{}, {}]
    for seed in range(SEEDS):
        spec = spec_of(kind, seed, replicates)
        found[0][seed] = ours(spec, random.Random(seed), deviation)
        found[1][seed] = plain(spec, random.Random(seed), deviation, POINTS * replicates)
    difference: Any = paired_difference(found[0], found[1])
    interval = difference.interval
    means = [sum(values.values()) / SEEDS for values in found]
    return (
        f"{kind:7} {replicates} seed(s), noise {deviation:g}: "
        f"ours {means[0]:.4f}, plain {means[1]:.4f} of {BEST:.4f}; "
        f"ours − plain {interval.mean:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"
    )


def main() -> None:
    print(
        f"true response of the best of {POINTS} points, {SEEDS} seeds; with several seeds a point, "
        "plain has as many trials in all"
    )
    for kind in sys.argv[1:] or ["tpe", "gp", "random"]:
        print(compare(kind, 1, 0.0))
    print(compare("tpe", 1, NOISE))
    print(compare("tpe", 4, NOISE))


if __name__ == "__main__":
    main()
