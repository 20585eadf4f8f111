from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from cluster.local_trial import run_trial
from cpc_core.corpus.sample import open_corpus
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.spec.study_spec import StudySpec
from tests.helpers.processes import Driver, Marked
from tests.helpers.ray_nodes import RunningRay
from tests.helpers.specs import TINY_BASE, tiny_spec
from tests.helpers.trainings import log_without_timing

SPEC: StudySpec = tiny_spec(space={"crop_s": [3.0, 1.0], "learning_rate": [1e30, 1e-3]})
"""Four trials, one after the other: two that cannot start, one that diverges, one that is fine."""


FINE = 3


def alone(cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains the last trial without Ray, as `cpc trial run` does."""
    monkeypatch.setenv("CPC_CACHE", str(cache))
    optimizer = {**TINY_BASE["optimizer"], "learning_rate": 1e-3}
    spec = tiny_spec(base={**TINY_BASE, "optimizer": optimizer}, space={})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run_trial(
            StudyFolder(folder),
            spec,
            open_corpus(spec.corpus),
            on_step=lambda *_: None,
            on_report=lambda _: None,
        )
    finally:
        torch.set_num_threads(threads)


def test_one_process_serves_all_trials_until_it_dies(
    tmp_path: Path,
    cache: Path,
    running_ray: RunningRay,
    marked: Marked,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is killed twice: in the middle of the last trial, and before that while it waits between
    two trials.
    """
    folder = tmp_path / "study"
    driver = Driver(marked, SPEC, folder, "--step", ray=running_ray)
    actors: list[list[int]] = []
    for kind, number, step, _ in driver.events():
        if kind == "ended":
            actors.append(running_ray.titled("ray::InlineTrial"))
        if (kind, number) == ("ended", 1) or (kind, number, step) == ("report", FINE, 10):
            for pid in running_ray.titled("ray::InlineTrial"):
                os.kill(pid, signal.SIGKILL)
        driver.proceed()
    assert driver.finish() == (0, "")
    first, second, third, fourth = actors
    assert first == second
    assert len({*first, *third, *fourth}) == 3

    record = read_study(StudyFolder(folder))
    assert [trial.outcome for trial in record.trials] == [
        "failed",
        "failed",
        "diverged",
        "complete",
    ]
    assert "data.crop_s must lie between" in record.trials[0].reason
    alone(cache, tmp_path / "alone", monkeypatch)
    assert log_without_timing(folder, FINE) == log_without_timing(tmp_path / "alone", 0)
