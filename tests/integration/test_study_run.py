from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from cpc_core.checkpoint import read_config
from cpc_core.export.writer import export_model
from study.analysis.cost import cost_info
from study.folders.checkpoints import checkpoint_step
from study.folders.provenance import attempts
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import TrialFolder
from study.results.reader import read_study
from study.spec.resources import Resources
from study.spec.study_spec import StudySpec
from tests.helpers.processes import Driver, Marked
from tests.helpers.specs import TINY_BASE, tiny_spec, written
from tests.helpers.trainings import log_without_timing

STEPS = 200


SPEC: StudySpec = tiny_spec(
    base={**TINY_BASE, "training": {"steps": STEPS, "report_every": 20, "dev_clips": 8}},
    resources={"concurrent_trials": 2, "cpus_per_worker": 0.5},
)


NESTED = SPEC.model_copy(
    update={"resources": Resources(concurrent_trials=2, cpus_per_worker=0.5, inline=False)}
)
"""The same trials as Ray Train runs, fed by reading tasks."""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A study of two trials run from beginning to end by a driver that then ended by itself."""
    folder, marked = tmp_path_factory.mktemp("uninterrupted") / "study", Marked(cache)
    driver = Driver(marked, SPEC, folder)
    events = list(driver.events())
    assert driver.finish() == (0, "")
    left = marked.processes(waiting=True)
    marked.end()
    assert not left
    assert sorted(event for event in events if event[0] == "ended") == [
        ("ended", number, STEPS, "complete") for number in (0, 1)
    ]
    assert sum(kind == "report" for kind, *_ in events) == 2 * 10
    return folder


def test_study_ends_with_every_trial_its_metrics_and_its_files(uninterrupted: Path) -> None:
    record = read_study(StudyFolder(uninterrupted))
    assert record.finished
    assert [(trial.outcome, trial.reason) for trial in record.trials] == [("complete", "")] * 2
    assert [trial.knobs for trial in record.trials] == SPEC.space.grid()
    for trial in record.trials:
        assert [report.step for report in trial.history.reports] == list(range(20, STEPS + 1, 20))
        assert trial.metrics == trial.history.reports[-1].metrics
        assert {
            "train_loss",
            "train_accuracy",
            "dev_accuracy",
            "dev_map",
            "dev_probe_accuracy",
        } <= trial.metrics.keys()
        assert 0 < trial.duration_s < 300
        checkpoint = TrialFolder(uninterrupted, trial.number).require_checkpoint()
        assert checkpoint_step(checkpoint) == STEPS
        assert read_config(checkpoint) == SPEC.config(trial.knobs, trial.seed)
        assert len(list(checkpoint.parent.glob("checkpoint-*"))) == 2
        (attempt,) = attempts(TrialFolder(uninterrupted, trial.number))
        assert (
            attempt["from_step"],
            attempt["workers"],
            attempt["threads"],
            attempt["device"],
        ) == (0, 1, 1, "cpu")
        assert (attempt["trial_id"], attempt["spec_hash"]) == (trial.trial_id, SPEC.hash)
    assert record.provenance["spec_hash"] == SPEC.hash
    files = {
        "spec.yaml",
        "provenance.json",
        "prediction.json",
        "journal.log",
        "driver.lock",
        "trials",
    }
    assert {path.name for path in uninterrupted.iterdir() if not path.match("code-*.diff")} == files
    cost = cost_info(record)
    assert cost is not None and cost.trials == 2 and cost.predicted_s > 0


def test_finished_study_is_run_again_without_doing_anything(
    uninterrupted: Path, marked: Marked
) -> None:
    before = {
        path: path.read_bytes() for path in (uninterrupted / "trials").rglob("*") if path.is_file()
    }
    driver = Driver(marked, SPEC, uninterrupted)
    assert list(driver.events()) == []
    assert driver.finish() == (0, "")
    assert {
        path: path.read_bytes() for path in (uninterrupted / "trials").rglob("*") if path.is_file()
    } == before


def test_study_beside_a_finished_one_takes_its_trials_over(
    uninterrupted: Path, marked: Marked
) -> None:
    beside = uninterrupted.with_name("beside")
    driver = Driver(marked, SPEC.model_copy(update={"question": "The same?"}), beside)
    assert list(driver.events()) == []
    assert driver.finish() == (0, "")
    record = read_study(StudyFolder(beside))
    assert [trial.reason for trial in record.trials] == [
        f"trained as trial {number} of study study" for number in (0, 1)
    ]
    for number in (0, 1):
        assert log_without_timing(beside, number) == log_without_timing(uninterrupted, number)


def test_killed_and_interrupted_runs_end_with_the_same_log(
    uninterrupted: Path, tmp_path: Path, marked: Marked
) -> None:
    """Ray Train runs end with the log of inline trials that nothing interrupted."""
    folder = tmp_path / "study"
    killed = Driver(marked, NESTED, folder)
    killed.until_report()
    killed.process.send_signal(signal.SIGKILL)
    killed.finish()
    assert marked.all_ended(), marked.commands()
    assert {trial.outcome for trial in read_study(StudyFolder(folder)).trials} == {"running"}
    first_lines = [TrialFolder(folder, number).log()[:1] for number in (0, 1)]
    assert any(first_lines)

    interrupted = Driver(marked, NESTED, folder)
    interrupted.until_report()
    # As a scheduler does it, to every process of the job: Ray's own ignore it.
    for pid in marked.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR1)
    left = [number for kind, number, *_ in interrupted.events() if kind == "left"]
    assert interrupted.finish() == (130, "")
    assert not marked.processes()
    assert {trial.outcome for trial in read_study(StudyFolder(folder)).trials} <= {
        "running",
        "complete",
    }
    assert left
    for number in left:
        assert TrialFolder(folder, number).require_checkpoint().is_dir()

    hurried = Driver(marked, SPEC, folder)
    hurried.until_report()
    os.killpg(hurried.process.pid, signal.SIGINT)
    time.sleep(0.3)
    os.killpg(hurried.process.pid, signal.SIGINT)
    assert hurried.finish() == (130, "")
    assert marked.all_ended()

    resumed = Driver(marked, NESTED, folder)
    started = [number for kind, number, *_ in resumed.events() if kind == "started"]
    assert resumed.finish() == (0, "")
    assert sorted(started) == sorted(set(started))
    record = read_study(StudyFolder(folder))
    assert record.finished
    assert [trial.outcome for trial in record.trials] == ["complete"] * 2
    for number in (0, 1):
        assert log_without_timing(folder, number) == log_without_timing(uninterrupted, number)
        taken_up = [attempt["from_step"] for attempt in attempts(TrialFolder(folder, number))]
        assert taken_up == sorted(taken_up) and taken_up[0] == 0
    # Bitwise the same line, timing included, where the kill did not fall between the line and its
    # checkpoint: the steps before it were not taken again. The driver had heard of at least one
    # such line.
    assert any(
        lines and TrialFolder(folder, number).log()[:1] == lines
        for number, lines in enumerate(first_lines)
    )


def test_workers_start_from_an_export_where_a_cell_does(
    tmp_path: Path, uninterrupted: Path, marked: Marked
) -> None:
    trained = TrialFolder(uninterrupted, 0)
    export_model(trained.require_checkpoint(), tmp_path / "model", {})
    training = {"steps": 10, "report_every": 5, "dev_clips": 8, "collapse_window": 50}
    asked = tiny_spec(
        base={**TINY_BASE, "training": training},
        space={"init": [None, str(tmp_path / "model")]},
        resources={"concurrent_trials": 1, "workers": 2, "cpus_per_worker": 0.5},
    )
    spec = StudySpec.load(written(tmp_path, asked.to_yaml()))
    driver = Driver(marked, spec, tmp_path / "study")
    events = list(driver.events())
    assert driver.finish() == (0, ""), events
    fresh, warm = (TrialFolder(tmp_path / "study", number) for number in (0, 1))
    assert fresh.config().initialisation.model is None
    assert warm.config() == spec.config({"init": str(tmp_path / "model")}, 0)
    assert warm.config().initialisation.model_hash is not None
    assert attempts(warm)[0]["workers"] == 2
    # What took the first one two hundred steps is there from the beginning.
    losses = [each.log()[0].metrics["train_loss"] for each in (fresh, warm)]
    assert losses[1] < min(losses[0], trained.log()[1].metrics["train_loss"])


def test_more_workers_than_cpus_are_refused_before_any_start(
    tmp_path: Path, marked: Marked
) -> None:
    spec = tiny_spec(resources={"concurrent_trials": 1, "workers": 500, "cpus_per_worker": 1})
    driver = Driver(marked, spec, tmp_path / "study")
    code, errors = driver.finish()
    assert code == 1
    cpus = len(os.sched_getaffinity(0))
    assert f"500 workers × 1 CPU + 125 for data = 625 CPUs, the cluster has {cpus}" in errors
