"""A study on a real Ray whose folder is in an object store and whose trials are in a database:
killed, and taken up again.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from cpc_core.export.reader import read_model
from cpc_core.storage_path import StoragePath
from study.folders.study_folder import PREDICTION, PROVENANCE, SPEC, StudyFolder
from study.results.reader import read_study
from tests.helpers.postgres import PASSWORD, Server
from tests.helpers.processes import Marked
from tests.helpers.s3 import S3Server
from tests.helpers.specs import TINY_BASE, tiny_spec

STEPS = 200


def cpc(marked: Marked, *arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "study.cli", *map(str, arguments)]
    return subprocess.Popen(
        command, env=marked.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until_reported(folder: StoragePath, driver: subprocess.Popen[str]) -> None:
    """Returns once a trial has a checkpoint and a line in its log."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        assert driver.poll() is None, driver.communicate()
        files = folder.walk_files() if (folder / SPEC).is_file() else {}
        if any(name.endswith("complete.json") for name in files):
            return
        time.sleep(0.5)
    raise AssertionError(f"nothing was reported to {folder}")


def test_study_in_stores_is_killed_resumed_and_exported(
    tmp_path: Path, marked: Marked, postgres: Server, bucket: str, s3: S3Server
) -> None:
    marked.environment.update({"PGPASSWORD": PASSWORD, **s3.settings})
    base = {**TINY_BASE, "training": {"steps": STEPS, "report_every": 20, "dev_clips": 8}}
    spec = tiny_spec(
        base=base, store=postgres.url(), resources={"concurrent_trials": 2, "cpus_per_worker": 0.5}
    )
    (tmp_path / "spec.yaml").write_text(spec.to_yaml())
    folder = StoragePath.of(f"{bucket}/tiny")
    killed = cpc(marked, "study", "run", tmp_path / "spec.yaml", "-o", folder.text)
    until_reported(folder, killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert marked.all_ended()
    kept = read_study(StudyFolder(folder))
    assert {trial.outcome for trial in kept.trials} == {"running"}

    resumed = cpc(marked, "study", "resume", folder.text)
    _, errors = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, errors
    record = read_study(StudyFolder(folder))
    assert record.finished
    assert [(trial.outcome, trial.reason) for trial in record.trials] == [("complete", "")] * 2
    for trial, before in zip(record.trials, kept.trials, strict=True):
        assert [report.step for report in trial.history.reports] == list(range(20, STEPS + 1, 20))
        # What a checkpoint was written after was not trained again: the timing among the metrics is
        # that of the first time.
        assert not before.history.reports or before.history.reports[0] == trial.history.reports[0]
    exported = cpc(marked, "export", folder.text, "--best", "-o", tmp_path / "model")
    assert (exported.wait(timeout=120), exported.communicate()[1].partition(" to ")[0][:14]) == (
        0,
        "exported trial",
    )
    read_model(tmp_path / "model")
    top = {name.partition("/")[0] for name in folder.walk_files()}
    # A killed driver leaves what Ray wrote for itself: other drivers cannot know whether it is
    # still in use.
    assert {name for name in top if not name.startswith((".scratch-", "code-"))} == {
        SPEC,
        PROVENANCE,
        PREDICTION,
        "trials",
    }
