"""Runs a study on a Ray of its own, for tests that end the process: `python -m tests.cluster.drive SPEC.yaml FOLDER`.

Each event is one JSON line on stdout: kind, trial number, step, outcome. With `--step` as third argument the study stands
still after each of them until a line arrives on stdin; so does an inline trial, which waits for its driver at each report.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cluster.runner import run_study
from cluster.search import StudyEvent
from study.spec import StudySpec


def show(event: StudyEvent) -> None:
    sys.stdout.write(json.dumps([event.kind, event.assignment.number, event.step, event.outcome]) + "\n")
    sys.stdout.flush()
    if "--step" in sys.argv:
        sys.stdin.readline()


if __name__ == "__main__":
    try:
        run_study(Path(sys.argv[2]), StudySpec.load(sys.argv[1]), address=None, on_event=show)
    except KeyboardInterrupt:
        sys.exit(130)
