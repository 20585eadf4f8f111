"""Costs of a study beside its training: ratios of one run, on an otherwise idle machine.

    python -m tests.benchmarks.engine overhead inline speed concurrent stop

`overhead`: all of a nested one-worker trial but its loop ÷ all of a plain Tuner → TorchTrainer
trial but the same loop. `inline`: all of an inline trial but its loop, for every trial after the
first. `speed`: training steps a second inside the study ÷ those of the same loop in a process of
its own. `concurrent`: two trials one after the other ÷ the same two at the same time on two CPUs.
`stop`: from the end of a trial of two workers to the training of the next, where it was stopped and
where it ended by itself.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from cluster.events import StudyEvent
from cluster.study_run import run_study
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import PROVENANCE, StudyFolder
from study.folders.trial_folder import TrialFolder
from study.spec.study_spec import StudySpec
from tests.helpers.specs import TINY_BASE, tiny_spec

TRIALS = 3
"""Of which the first pays for what all share, and does not count."""


SHORT: dict[str, Any] = {
    **TINY_BASE,
    "training": {"steps": 200, "report_every": 100, "dev_clips": 8},
}
"""Seconds of training."""


LONG: dict[str, Any] = {
    **TINY_BASE,
    "data": {"crop_s": 2.0, "batch_size": 8},
    "encoder": {"width": 32},
    "training": {"steps": 250, "report_every": 25, "dev_clips": 8},
}
"""Long enough for a rate."""


STOPS = 5
"""Trials that are stopped at their first report; as many end by themselves."""


LONGER: dict[str, Any] = {
    **LONG,
    "training": {**LONG["training"], "steps": 600, "report_every": 100},
}
"""Long beside the start of its process."""


@dataclass(frozen=True)
class Timed:
    """A study's clock.

    Attributes:
        begun_s: When the first trial was started.
        ended_s: When each trial ended, in order of their ends.
        loop_s: Seconds of each trial's training loop, in the same order.
    """

    begun_s: float
    ended_s: list[float]
    loop_s: list[float]

    @property
    def overheads_s(self) -> list[float]:
        """Of each trial after the first, where they run one after the other."""
        whole = [later - earlier for earlier, later in pairwise(self.ended_s)]
        return [seconds - loop for seconds, loop in zip(whole, self.loop_s[1:], strict=True)]


def study(folder: Path, base: dict[str, Any], trials: int, **resources: Any) -> Timed:
    """Runs a study of so many seeds of one cell."""
    spec: StudySpec = tiny_spec(
        base=base,
        space={},
        seeds=list(range(trials)),
        resources={"cpus_per_worker": 0.5, "share": False, **resources},
    )
    begun: list[float] = []
    ended: list[tuple[float, int]] = []

    def note(event: StudyEvent) -> None:
        if event.kind == "started":
            begun.append(time.monotonic())
        elif event.kind == "ended":
            ended.append((time.monotonic(), event.trial.number))

    record = run_study(StudyFolder(folder), spec, address=None, on_event=note)
    assert [trial.outcome for trial in record.trials] == ["complete"] * trials
    loops = [TrialFolder(folder, number).log()[-1].elapsed_s for _, number in ended]
    return Timed(begun[0], [when for when, _ in ended], loops)


def steps_per_s(study_folder: Path) -> float:
    """From a trial's first report to its last but one: the start, and the probe at the end, are not
    steps.
    """
    first, *_, last, _ = TrialFolder(study_folder, 0).log()
    return (last.step - first.step) / (last.elapsed_s - first.elapsed_s)


def child(part: str) -> dict[str, Any]:
    """Runs one part of this file in a process of its own, with nobody's settings but the
    machine's.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.engine", part],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def bare_loop(base: dict[str, Any], report: Callable[[dict[str, float]], None]) -> None:
    """The training loop alone; `report` gets the metrics."""
    import torch

    from cpc_core.corpus.reading.batches import Batch, batches_in_process
    from cpc_core.corpus.sample import open_corpus
    from cpc_core.training import training_reports

    torch.set_num_threads(1)
    corpus, config = open_corpus("sample"), tiny_spec(base=base, space={}).config({}, 0)

    def batches(start: int) -> Iterator[Batch]:
        return batches_in_process(
            corpus, config.seed, config.data.batch_size, start, config.batches
        )

    for made, _ in training_reports(config, corpus, batches):
        report({"step": made.step, **made.metrics})


def bare() -> None:
    """Prints the steps a second of the loop alone."""
    reports: list[tuple[float, float]] = []
    bare_loop(LONG, lambda metrics: reports.append((time.monotonic(), metrics["step"])))
    (first_s, first), *_, (last_s, last), _ = reports
    print(json.dumps({"steps_per_s": (last - first) / (last_s - first_s)}))


def plain() -> None:
    """Prints when each trial of a plain Tuner → TorchTrainer ended, and the seconds of its loop."""
    import ray
    import ray.tune

    ended: list[float] = []

    class Ends(ray.tune.Callback):
        def on_trial_complete(
            self, iteration: int, trials: list[Any], trial: Any, **info: Any
        ) -> None:
            ended.append(time.monotonic())

    ray.init(num_cpus=2, log_to_driver=False)
    with tempfile.TemporaryDirectory() as storage:
        grid = ray.tune.Tuner(
            plain_trial,
            param_space={"seed": ray.tune.grid_search(list(range(TRIALS))), "storage": storage},
            tune_config=ray.tune.TuneConfig(max_concurrent_trials=1),
            run_config=ray.tune.RunConfig(storage_path=storage, callbacks=[Ends()], verbose=0),
        ).fit()
    assert not grid.errors
    loops = [float(seconds) for seconds in grid.get_dataframe()["loop_s"]]
    print(json.dumps({"ended_s": ended, "loop_s": loops}))


def plain_trial(config: dict[str, Any]) -> None:
    """As the manual of Ray Train shows it."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    callback: Any = TuneReportCallback()
    TorchTrainer(
        plain_worker,
        train_loop_config=config,
        scaling_config=ScalingConfig(num_workers=1),
        run_config=RunConfig(
            name=f"seed-{config['seed']}", storage_path=config["storage"], callbacks=[callback]
        ),
    ).fit()


def plain_worker(config: dict[str, Any]) -> None:
    """The same loop; what it reports last is how long it took."""
    import ray.train

    begun = time.monotonic()
    bare_loop(
        SHORT, lambda metrics: ray.train.report({**metrics, "loop_s": time.monotonic() - begun})
    )


def overhead(folder: Path) -> None:
    """Prints figure (a)."""
    theirs = child("plain")
    plain_s = Timed(0, theirs["ended_s"], theirs["loop_s"]).overheads_s
    ours_s = study(folder / "nested", SHORT, TRIALS, concurrent_trials=1, inline=False).overheads_s
    print(
        f"nested trial: overhead {show(ours_s)}; plain Tuner → TorchTrainer {show(plain_s)}; "
        f"ratio {median(ours_s) / median(plain_s):.2f}",
        flush=True,
    )


def inline(folder: Path) -> None:
    """Prints figure (b)."""
    overheads = study(folder / "inline", SHORT, 2 * TRIALS, concurrent_trials=1).overheads_s
    print(f"inline trial: overhead {show(overheads)}", flush=True)


def speed(folder: Path) -> None:
    """Prints figure (c)."""
    before = child("bare")["steps_per_s"]
    study(folder / "inline", LONG, 1, concurrent_trials=1)
    study(folder / "nested", LONG, 1, concurrent_trials=1, inline=False)
    bare_rate = (before + child("bare")["steps_per_s"]) / 2
    rates = {name: steps_per_s(folder / name) for name in ("inline", "nested")}
    ratios = ", ".join(
        f"{name} {rate:.1f}/s, ratio {rate / bare_rate:.2f}" for name, rate in rates.items()
    )
    print(f"steps: alone {bare_rate:.1f}/s; {ratios}", flush=True)


def concurrent(folder: Path) -> None:
    """Prints figure (d)."""
    taken = {}
    for at_a_time in (1, 2):
        timed = study(
            folder / str(at_a_time), LONGER, 2, concurrent_trials=at_a_time, cpus_per_worker=1
        )
        taken[at_a_time] = timed.ended_s[-1] - timed.begun_s
    print(
        f"two trials: one by one {taken[1]:.1f} s, together {taken[2]:.1f} s, "
        f"{taken[1] / taken[2]:.2f} times faster",
        flush=True,
    )


def stop(folder: Path) -> None:
    """Prints figure (e)."""
    ended: list[float] = []

    def note(event: StudyEvent) -> None:
        if event.kind == "ended":
            ended.append(time.time())

    def should_prune(_dispatcher: Dispatcher, number: int) -> bool:
        return number < STOPS

    spec = tiny_spec(
        base={**SHORT, "training": {"steps": 40, "report_every": 20, "dev_clips": 8}},
        space={},
        seeds=list(range(2 * STOPS)),
        resources={"concurrent_trials": 1, "workers": 2, "cpus_per_worker": 0.5, "share": False},
    )
    with patch.object(Dispatcher, "should_prune", should_prune):
        record = run_study(StudyFolder(folder), spec, address=None, on_event=note)
    outcomes = ["pruned"] * STOPS + ["complete"] * STOPS
    assert [trial.outcome for trial in record.trials] == outcomes
    begun = [
        Path(TrialFolder(folder, number).path / PROVENANCE).stat().st_mtime
        for number in range(1, 2 * STOPS)
    ]
    gaps = [later - earlier for earlier, later in zip(ended, begun, strict=False)]
    print(
        f"from the end of a trial of two workers to the first step of the next: stopped "
        f"{show(gaps[:STOPS])}, complete {show(gaps[STOPS:])}",
        flush=True,
    )


def show(seconds: list[float]) -> str:
    """Median, and all of them."""
    return f"{median(seconds):.2f} s ({' '.join(f'{value:.2f}' for value in seconds)})"


FIGURES: dict[str, Callable[[Path], None]] = {
    "overhead": overhead,
    "inline": inline,
    "speed": speed,
    "concurrent": concurrent,
    "stop": stop,
}


CHILDREN: dict[str, Callable[[], None]] = {"bare": bare, "plain": plain}


def main() -> None:
    """Prints the figures asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", nargs="*", choices=[*FIGURES, *CHILDREN], default=list(FIGURES))
    for name in parser.parse_args().figures:
        if name in CHILDREN:
            CHILDREN[name]()
            continue
        with tempfile.TemporaryDirectory() as folder:
            FIGURES[name](Path(folder) / name)


if __name__ == "__main__":
    main()
