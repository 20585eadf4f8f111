from __future__ import annotations

import shutil
import threading
import time
from collections import deque
from functools import partial
from pathlib import Path

import pytest
import torch

from cluster.attempt import in_process, run_attempt
from cpc_core.checkpoint import read_config
from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Corpus
from cpc_core.export.writer import export_model
from cpc_core.training import TrainingPaused
from study.folders.provenance import attempts
from study.folders.trial_folder import TrialFolder
from tests.helpers.recordings import noise_corpus
from tests.helpers.trainings import REPORTS, attempt, attempt_config, log_without_timing


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return noise_corpus(tmp_path_factory.mktemp("corpus"), train=12, dev=8, clip_s=0.06)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, corpus: Corpus) -> Path:
    """A study folder with one trial that was never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    assert len(attempt(new_trial(folder), corpus)) == len(REPORTS)
    return folder


def new_trial(study: Path, config: CpcConfig | None = None) -> TrialFolder:
    trial = TrialFolder(study, 0)
    trial.create(config or attempt_config())
    return trial


def checkpoints(trial: TrialFolder) -> list[int]:
    return [
        int(path.name.removeprefix("checkpoint-"))
        for path in sorted(Path(trial.path).glob("checkpoint-*"))
    ]


def test_reports_are_logged_and_the_newest_two_have_checkpoints(whole: Path) -> None:
    trial = TrialFolder(whole, 0)
    assert [entry.step for entry in trial.log()] == list(REPORTS)
    assert [entry.outcome for entry in trial.log()] == ["running", "running", "complete"]
    assert checkpoints(trial) == [8, 12]


def test_the_probes_scores_by_clip_are_in_the_trials_folder(
    tmp_path: Path, corpus: Corpus, whole: Path
) -> None:
    trial = TrialFolder(whole, 0)
    kept = trial.metrics_by_recording()
    assert kept is not None
    final = trial.log()[-1].metrics
    assert len(kept.recordings) == 8
    for name, values in kept.values.items():
        assert values.mean() == pytest.approx(final[name], abs=1e-6)
    stopped = new_trial(tmp_path)
    attempt(stopped, corpus, reports=2)
    assert stopped.metrics_by_recording() is None


@pytest.mark.parametrize("reports", [0, 1, 2])
def test_attempt_ended_between_reports_is_resumed_bit_for_bit(
    tmp_path: Path, corpus: Corpus, whole: Path, reports: int
) -> None:
    trial = new_trial(tmp_path)
    attempt(trial, corpus, reports=reports)
    assert [progress.step for progress in attempt(trial, corpus)] == list(REPORTS[reports:])
    assert log_without_timing(tmp_path, 0) == log_without_timing(whole, 0)


def test_a_resume_does_not_load_the_export_again(tmp_path: Path, corpus: Corpus) -> None:
    """A trial that starts from an export goes on where the export is gone, bit for bit."""
    first = TrialFolder(tmp_path / "first", 0)
    first.create(attempt_config())
    attempt(first, corpus)
    export_model(first.require_checkpoint(), tmp_path / "model", {})
    config = attempt_config(initialisation={"model": str(tmp_path / "model")})
    whole, resumed = (
        new_trial(tmp_path / name, config) for name in ("uninterrupted", "interrupted")
    )
    attempt(whole, corpus)
    attempt(resumed, corpus, reports=1)
    shutil.rmtree(tmp_path / "model")
    attempt(resumed, corpus)
    logs = [log_without_timing(tmp_path / each.study.name, 0) for each in (whole, resumed)]
    assert logs[0] == logs[1]
    assert logs[0][0]["metrics"]["train_loss"] < first.log()[0].metrics["train_loss"]


def note(taken: list[int], step: int, measured: object) -> None:
    taken.append(step)


@pytest.mark.parametrize("steps", [(1,), (3, 4), (2, 3), (6, 11)])
def test_attempt_paused_between_reports_is_resumed_bit_for_bit(
    tmp_path: Path, corpus: Corpus, whole: Path, steps: tuple[int, ...]
) -> None:
    trial = new_trial(tmp_path)
    for wanted in steps:
        taken: list[int] = []

        def due(left: int, taken: list[int] = taken, wanted: int = wanted) -> bool:
            return taken[-1] >= wanted and left > 0

        training = run_attempt(trial, corpus, in_process, on_step=partial(note, taken), pause=due)
        with pytest.raises(TrainingPaused) as paused:
            deque(training, maxlen=0)
        assert not any(thread.name.startswith("prefetch") for thread in threading.enumerate())
        # A step with a report is not a place to pause.
        assert paused.value.step == (5 if wanted == 4 else wanted) == trial.newest_step()
    attempt(trial, corpus)
    assert log_without_timing(tmp_path, 0) == log_without_timing(whole, 0)
    ours, theirs = (
        torch.load(TrialFolder(study, 0).checkpoint_at(12) / "state.pt")
        for study in (tmp_path, whole)
    )
    assert all(torch.equal(ours["model"][name], theirs["model"][name]) for name in ours["model"])
    assert ours["history"] == theirs["history"]


def test_seconds_before_a_pause_count(tmp_path: Path, corpus: Corpus) -> None:
    trial = new_trial(tmp_path)

    def slow(step: int, measured: object) -> None:
        time.sleep(0.1 if step < 4 else 0)

    with pytest.raises(TrainingPaused):
        deque(run_attempt(trial, corpus, in_process, on_step=slow, pause=lambda left: left == 1))
    attempt(trial, corpus)
    elapsed = [entry.elapsed_s for entry in trial.log()]
    assert elapsed == sorted(elapsed) and elapsed[0] > 0.3
    assert trial.log()[0].metrics["clips_per_s"] < 4 * trial.config().data.batch_size / 0.3


def test_the_first_attempts_precision_is_kept_elsewhere(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_bfloat16 = True
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": has_bfloat16})
    config = attempt_config()
    automatic = config.compute.model_copy(update={"precision": "auto"})
    trial = new_trial(tmp_path, config.model_copy(update={"compute": automatic}))
    attempt(trial, corpus, reports=1)
    has_bfloat16 = False
    attempt(trial, corpus)
    assert [each["precision"] for each in attempts(trial)] == ["bfloat16", "bfloat16"]
    assert [read_config(trial.checkpoint_at(step)).compute.precision for step in (8, 12)] == [
        "bfloat16",
        "bfloat16",
    ]
    assert trial.config().compute.precision == "auto"


def test_line_whose_checkpoint_is_missing_is_taken_again(
    tmp_path: Path, corpus: Corpus, whole: Path
) -> None:
    trial = new_trial(tmp_path)
    attempt(trial, corpus, reports=2)
    shutil.rmtree(trial.path / "checkpoint-000000008")
    assert [progress.step for progress in attempt(trial, corpus)] == [8, 12]
    assert log_without_timing(tmp_path, 0) == log_without_timing(whole, 0)


def test_ended_training_repeats_its_last_report_without_a_step(
    tmp_path: Path, corpus: Corpus
) -> None:
    trial = new_trial(tmp_path)
    *_, last = attempt(trial, corpus)
    steps: list[int] = []
    assert list(
        run_attempt(trial, corpus, in_process, on_step=lambda step, _: steps.append(step))
    ) == [last]
    assert steps == []


def test_seconds_of_earlier_attempts_count(tmp_path: Path, corpus: Corpus) -> None:
    trial = new_trial(tmp_path)
    attempt(trial, corpus, reports=1)
    log = Path(trial.path) / "metrics.jsonl"
    log.write_text(log.read_text().replace('"elapsed_s": ', '"elapsed_s": 1000'))
    attempt(trial, corpus)
    assert [entry.elapsed_s > 1000 for entry in trial.log()] == [True] * 3


def test_diverged_trial_leaves_no_checkpoint_of_its_end(tmp_path: Path, corpus: Corpus) -> None:
    wild = {"learning_rate": 1e30, "final_learning_rate": 1e30, "warmup_steps": 0}
    trial = new_trial(tmp_path, attempt_config(optimizer=wild))
    *_, last = attempt(trial, corpus)
    assert last.outcome == "diverged"
    assert last.step not in checkpoints(trial)
    assert trial.log()[-1].reason == last.reason != ""
