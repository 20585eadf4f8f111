"""A driver that trains nothing: `python -m tests.helpers.simulated_driver FOLDER SPEC.yaml
TRIALS_AT_A_TIME`.

It requests trials, writes the logs that workers would write, and records the outcomes. Each trial
is one JSON line on stdout.
"""

from __future__ import annotations

import json
import sys
import time

from cpc_core.report import Report
from study.dispatch.dispatcher import Dispatcher
from study.dispatch.trial_spec import TrialSpec
from study.folders.study_folder import StudyFolder
from study.spec.study_spec import StudySpec
from study.storage import object_store, postgres

STEP_S = 0.02


def train(store: Dispatcher, assignments: list[TrialSpec]) -> None:
    """Three reports of each trial, in turn, then their ends."""
    for step in (10, 20, 30):
        for assignment in assignments:
            time.sleep(STEP_S)
            store.check()
            metrics = {"dev_accuracy": step / 100, "dev_map": 0.5}
            trial = store.trial_folder(assignment.number)
            trial.append(Report(step, metrics, "complete" if step == 30 else "running", "", 1.0))
            store.report(assignment.number, step, metrics)
    for assignment in assignments:
        store.tell(assignment.number, "complete", {"dev_map": 0.5})


def main(folder: StudyFolder, spec: StudySpec, at_a_time: int) -> None:
    store = Dispatcher.create_or_open(folder, spec, "c" * 64, "sample (3 clips)")
    try:
        while (first := store.wait_for_trial(lambda: False)) is not None:
            others = [store.ask() for _ in range(at_a_time - 1)]
            asked = [first, *(assignment for assignment in others if assignment is not None)]
            for assignment in asked:
                trial = store.trial_folder(assignment.number)
                trial.rewind(-1)
                sys.stdout.write(
                    json.dumps([assignment.number, dict(assignment.sample), assignment.seed]) + "\n"
                )
                sys.stdout.flush()
            train(store, asked)
    finally:
        store.close()


if __name__ == "__main__":
    postgres.GRACE_S = 0.5
    object_store.LEASE_S, object_store.RENEW_S = 2.0, 0.3
    main(StudyFolder(sys.argv[1]), StudySpec.load(sys.argv[2]), int(sys.argv[3]))
