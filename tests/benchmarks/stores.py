"""Cost of a study in each storage backend: `python -m tests.benchmarks.stores [TRIALS]`.

A grid is opened, every trial dispatched, reported ten times and ended, then the study is read.
Nothing is trained. The database runs on this machine and waits for its disk; the object store is a
server in Python on loopback, and gets a tenth of the trials.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from cpc_core.report import Report
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.spec.study_spec import StudySpec
from tests.helpers.postgres import PASSWORD, running
from tests.helpers.s3 import running_s3
from tests.helpers.specs import tiny_spec

REPORTS = 10


def measure(name: str, folder: StudyFolder, spec: StudySpec) -> None:
    began = time.monotonic()
    store = Dispatcher.create_or_open(folder, spec, "c" * 64, "")
    opened, trials = time.monotonic(), 0
    while (assignment := store.ask()) is not None:
        trials += 1
        for step in range(1, REPORTS + 1):
            store.report(assignment.number, step, {"dev_map": 0.3})
        trial = store.trial_folder(assignment.number)
        trial.append(Report(REPORTS, {"dev_map": 0.5}, "complete", "", 1.0))
        store.tell(assignment.number, "complete", {"dev_map": 0.5})
    told = time.monotonic()
    store.close()
    read_study(folder)
    read = time.monotonic()
    print(
        f"{name:28} {trials:5d} trials: opened in {opened - began:6.2f} s, "
        f"{1000 * (told - opened) / trials:6.1f} ms a trial, "
        f"read in {read - told:5.2f} s"
    )


def grid(trials: int, store: str | None = None) -> StudySpec:
    return tiny_spec(
        space={
            "epsilon_db": [-80 + 0.05 * index for index in range(trials)],
            "adversary": ["fgsm"],
        },
        store=store,
    )


def main(trials: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        measure("journal file", StudyFolder(Path(temporary) / "file"), grid(trials))
        os.environ["PGPASSWORD"] = PASSWORD
        with running(durable=True) as database:
            measure(
                "PostgreSQL",
                StudyFolder(Path(temporary) / "database"),
                grid(trials, database.url()),
            )
        with running_s3() as server:
            os.environ.update(server.settings)
            folder = StudyFolder(f"{server.empty_bucket()}/bench")
            measure("S3 protocol, in Python", folder, grid(max(1, trials // 10)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
