from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from cluster.stop_flag import POLL_S, StopFlag, StudyStopFlag
from cluster.tune.inline_trial import InlineTrial
from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Corpus
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import TrialFolder
from study.spec.resources import Resources
from tests.helpers.damage import flip_audio_bit
from tests.helpers.recordings import noise_corpus
from tests.helpers.trainings import REPORTS, attempt, attempt_config, log_without_timing

WILD = {"learning_rate": 1e30, "final_learning_rate": 1e30, "warmup_steps": 0}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return noise_corpus(tmp_path_factory.mktemp("corpus"), train=12, dev=8, clip_s=0.06)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, corpus: Corpus) -> Path:
    """A study folder with one trial trained in a process that has trained nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    attempt(created(folder, 0, attempt_config()), corpus)
    return folder


def created(study: Path, number: int, config: CpcConfig) -> TrialFolder:
    trial = TrialFolder(study, number)
    trial.create(config)
    return trial


def actor(study: Path, corpus: Corpus, number: int, grace_s: float | None = None) -> InlineTrial:
    """The actor, which Tune creates in a process of its own."""
    made = InlineTrial.__new__(InlineTrial)
    made.setup(
        {"number": number, "attempt": 0},
        study=StudyFolder(study),
        corpus=corpus.folder,
        resources=Resources(cpus_per_worker=torch.get_num_threads()),
        scratch=str(study / "scratch"),
        grace_s=grace_s,
    )
    return made


def results(trial: InlineTrial) -> list[dict[str, Any]]:
    """All results up to the one that says that the trial is done."""
    return list(iter(trial.step, {"done": True}))


def test_each_step_is_one_report(tmp_path: Path, corpus: Corpus, alone: Path) -> None:
    created(tmp_path, 0, attempt_config())
    made = results(actor(tmp_path, corpus, 0))
    assert [result["step"] for result in made] == list(REPORTS)
    assert [result["metrics"] for result in made] == [
        entry.metrics for entry in TrialFolder(tmp_path, 0).log()
    ]
    assert log_without_timing(tmp_path, 0) == log_without_timing(alone, 0)


def test_trial_stopped_at_a_report_leaves_nothing_running(
    tmp_path: Path, corpus: Corpus, alone: Path
) -> None:
    for number in (0, 1):
        created(tmp_path, number, attempt_config())
    trial = actor(tmp_path, corpus, 0)
    trial.step()
    assert any(thread.name.startswith("prefetch") for thread in threading.enumerate())
    assert trial.reset_config({"number": 1, "attempt": 0})
    assert not any(thread.name.startswith("prefetch") for thread in threading.enumerate())
    assert [result["step"] for result in results(trial)] == list(REPORTS)
    assert [entry.step for entry in TrialFolder(tmp_path, 0).log()] == [REPORTS[0]]
    assert log_without_timing(tmp_path, 1) == log_without_timing(alone, 0)


def test_trial_whose_stop_flag_is_set_ends_before_a_report(tmp_path: Path, corpus: Corpus) -> None:
    created(tmp_path, 0, attempt_config())
    trial = actor(tmp_path, corpus, 0)
    assert trial.step()["step"] == REPORTS[0]
    StopFlag(str(tmp_path / "scratch"), 0, attempt=0).set()
    time.sleep(POLL_S)
    assert trial.step() == {"done": True}
    assert [entry.step for entry in TrialFolder(tmp_path, 0).log()] == [REPORTS[0]]


def test_trial_of_a_stopped_study_pauses_within_its_grace(
    tmp_path: Path, corpus: Corpus, alone: Path
) -> None:
    created(tmp_path, 0, attempt_config())
    trial = actor(tmp_path, corpus, 0, grace_s=0)
    assert trial.step()["step"] == REPORTS[0]
    StudyStopFlag(str(tmp_path / "scratch")).set()
    time.sleep(POLL_S)
    paused = trial.step()
    assert paused["outcome"] == "paused" and REPORTS[0] < paused["step"] < REPORTS[1]
    (tmp_path / "scratch" / "stop").unlink()
    assert [result["step"] for result in results(actor(tmp_path, corpus, 0))] == list(REPORTS[1:])
    assert log_without_timing(tmp_path, 0) == log_without_timing(alone, 0)


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        ({"optimizer": WILD}, "diverged", "after"),
        ({"data": {"batch_size": 4, "crop_s": 9.0}}, "failed", "data.crop_s must lie between"),
    ],
)
def test_trial_that_ends_badly_does_no_harm_to_the_next(
    tmp_path: Path, corpus: Corpus, alone: Path, changes: dict[str, Any], outcome: str, reason: str
) -> None:
    created(tmp_path, 0, attempt_config(**changes))
    created(tmp_path, 1, attempt_config())
    trial = actor(tmp_path, corpus, 0)
    last = results(trial)[-1]
    assert last["outcome"] == outcome
    assert reason in last["reason"]
    assert trial.reset_config({"number": 1, "attempt": 0})
    results(trial)
    assert log_without_timing(tmp_path, 1) == log_without_timing(alone, 0)


def test_damaged_shard_fails_the_trial_and_is_named(tmp_path: Path) -> None:
    damaged = noise_corpus(tmp_path / "corpus", train=12, dev=8, clip_s=0.06)
    shard = sorted(Path(str(damaged.folder)).rglob("*train*.parquet"))[0]
    flip_audio_bit(shard, [0])
    created(tmp_path, 0, attempt_config())
    (result,) = results(actor(tmp_path, damaged, 0))
    assert result["outcome"] == "failed"
    assert shard.name in result["reason"] and "row group 0" in result["reason"]
