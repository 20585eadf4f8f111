"""Cost of a study's driver, for 1 000 simulated trials of 100 reports each, two at a time.

Each case runs in a process of its own, so that its peak of memory is its own. Ray, the training and
the disk are left out (the study lies in memory); the journal, the metrics logs, the sampler and the
pruner are the real ones. `python -m tests.benchmarks.driver [TRIALS]`
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from tests.benchmarks.surface import SPACE
from tests.helpers.fake_tune import Tune
from tests.helpers.specs import tiny_spec

TRIALS, REPORTS, WINDOW = 1000, 100, 20


CASES: dict[str, dict[str, Any]] = {
    "tpe": {},
    "tpe, asha": {"pruner": {"kind": "asha", "first_rung": 10}},
    "tpe, 4 seeds": {"seeds": [0, 1, 2, 3]},
}


class Stopwatch:
    """Seconds of this process's CPU, by call. Suggestions that draw a new point are kept apart from
    those that hand out a replicate.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {
            "propose": [],
            "suggest": [],
            "report": [],
            "end": [],
        }

    def time(self, what: str, call: Any, *arguments: Any, **named: Any) -> Any:
        started = time.process_time()
        result = call(*arguments, **named)
        self.seconds[what].append(time.process_time() - started)
        return result


def drive(case: str, trials: int) -> dict[str, float]:
    """Runs a case; what is measured is the time inside the searcher and the scheduler."""
    watch, reports = run(case, trials)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # Right after it, so that a machine with other work is the same for both ends of the ratio.
    fresh, _ = run(case, 2 * WINDOW * len(CASES[case].get("seeds", [0])))
    started = len(watch.seconds["end"])
    spent = {what: sum(seconds) for what, seconds in watch.seconds.items()}
    report_s, trial_s = (
        spent["report"] / reports,
        (spent["propose"] + spent["suggest"] + spent["end"]) / started,
    )
    return {
        "trials": started,
        "reports": reports,
        "peak_mb": peak_mb,
        "report_ms": report_s * 1000,
        "trial_ms": trial_s * 1000,
        "per_report_ms": (report_s + trial_s * started / reports) * 1000,
        "early_ms": median(fresh.seconds["propose"][WINDOW // 2 : WINDOW // 2 + WINDOW]) * 1000,
        "late_ms": median(watch.seconds["propose"][-WINDOW:]) * 1000,
    }


def run(case: str, trials: int) -> tuple[Stopwatch, int]:
    """A whole study; gives its times and how many reports there were, which is fewer where a pruner
    stops trials.
    """
    settings = CASES[case]
    space = {
        "space": SPACE,
        "objective": {"metric": "dev_accuracy"},
        "resources": {"concurrent_trials": 2},
    }
    spec = tiny_spec(
        **space,
        sampler={"kind": "tpe", "trials": trials // len(settings.get("seeds", [0]))},
        **settings,
    )
    watch, noise = Stopwatch(), random.Random(0)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        store = Dispatcher.create_or_open(StudyFolder(Path(folder)), spec, "c" * 64, "")
        tune = Tune(store, concurrent=2)
        running: dict[str, int] = {}
        started = reports = 0
        while True:
            while isinstance(watch.time("suggest", tune.start, f"trial{started}"), dict):
                running[f"trial{started}"] = 0
                if tune.assignment(f"trial{started}").seed == spec.seeds[0]:
                    watch.seconds["propose"].append(watch.seconds["suggest"].pop())
                started += 1
            if not running:
                break
            for trial_id in list(running):
                running[trial_id] += 1
                reports += 1
                if step_ends(watch, tune, trial_id, running[trial_id], noise):
                    del running[trial_id]
        store.close()
    return watch, reports


def step_ends(watch: Stopwatch, tune: Tune, trial_id: str, step: int, noise: random.Random) -> bool:
    """Hands a trial's next report in; returns whether the trial ended with it."""
    last = step == REPORTS
    value = 1 - 1 / step + noise.gauss(0, 0.1)
    decision = watch.time(
        "report", tune.result, trial_id, step, "complete" if last else "running", dev_accuracy=value
    )
    if not last and decision != "STOP":
        return False
    write_log(tune.store, tune.assignment(trial_id).number, step)
    watch.time("end", tune.search.on_trial_complete, trial_id=trial_id, result={})
    return True


def write_log(store: Dispatcher, number: int, steps: int) -> None:
    """The log that the trial's worker would have left."""
    line = {
        "outcome": "running",
        "reason": "",
        "elapsed_s": 1.0,
        "metrics": {"dev_accuracy": 0.5, "dev_loss": 1.0, "train_loss": 1.0},
    }
    text = "".join(json.dumps({"step": step, **line}) + "\n" for step in range(1, steps + 1))
    (store.trial_folder(number).path / "metrics.jsonl").write_text(text)


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS
    print(
        f"{trials} trials × {REPORTS} reports, 2 at once; "
        "CPU time inside the driver's searcher and scheduler"
    )
    for case in CASES:
        command = [sys.executable, "-m", "tests.benchmarks.driver", str(trials), case]
        found = json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout
        )
        each_ms = found["per_report_ms"]
        print(
            f"{case}: {found['trials']} trials, {found['reports']} reports, "
            f"peak memory {found['peak_mb']:.0f} MB"
        )
        print(
            f"  {found['report_ms']:.2f} ms a report and {found['trial_ms']:.1f} ms a trial, "
            f"{each_ms:.2f} ms a report in all"
        )
        print(
            f"  {2 * each_ms / 10:.2f} % of a core at 2 reports a second, "
            f"5 % at {50 / each_ms:.0f} a second"
        )
        early_ms, late_ms = found["early_ms"], found["late_ms"]
        print(
            f"  a proposal takes {early_ms:.1f} ms after 10 and {late_ms:.1f} ms at the end, "
            f"× {late_ms / early_ms:.2f}"
        )


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(drive(sys.argv[2], int(sys.argv[1]))))
    else:
        main()
