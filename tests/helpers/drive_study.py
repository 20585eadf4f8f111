"""A driver for tests that end the process: `python -m tests.helpers.drive_study SPEC.yaml FOLDER`.

Each event is one JSON line on stdout: kind, trial number, step, outcome. With `--step` the driver
waits after each of them until a line arrives on stdin; an inline trial waits for its driver at each
report. With `--stops N` the first N trials are stopped at their first report. With `--address` the
driver joins a cluster instead of starting its own.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import nullcontext
from unittest.mock import patch

from cluster.events import StudyEvent
from cluster.study_run import run_study
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.spec.study_spec import StudySpec


def main() -> int:
    """Runs the study; 130 where it was interrupted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("spec")
    parser.add_argument("folder", type=StudyFolder)
    parser.add_argument("--step", action="store_true")
    parser.add_argument("--stops", type=int)
    parser.add_argument("--address")
    parser.add_argument("--grace-s", type=float)
    args = parser.parse_args()

    def show(event: StudyEvent) -> None:
        sys.stdout.write(
            json.dumps([event.kind, event.trial.number, event.step, event.outcome]) + "\n"
        )
        sys.stdout.flush()
        if args.step:
            sys.stdin.readline()

    def should_prune(_store: Dispatcher, number: int) -> bool:
        return bool(number < args.stops)

    patched = (
        nullcontext()
        if args.stops is None
        else patch.object(Dispatcher, "should_prune", should_prune)
    )
    try:
        with patched:
            run_study(
                args.folder,
                StudySpec.load(args.spec),
                address=args.address,
                on_event=show,
                grace_s=args.grace_s,
            )
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
