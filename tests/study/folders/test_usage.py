from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from cpc_core.report import Report
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import TrialFolder
from study.folders.usage import UsageReader
from tests.helpers.specs import tiny_spec


def trials(*states: TrialState) -> list[FrozenTrial]:
    made = [
        create_trial(state=state, value=0.5 if state == TrialState.COMPLETE else None)
        for state in states
    ]
    for number, trial in enumerate(made):
        trial.number = number
    return made


def log(study: Path, number: int, *steps: int) -> None:
    folder = TrialFolder(study, number)
    if not folder.path.exists():
        folder.create(tiny_spec().config({}, 0))
    for step in steps:
        folder.append(Report(step, {}, "running", "", step / 2))


def test_started_trials_count_with_what_their_logs_say(tmp_path: Path) -> None:
    known = trials(
        TrialState.COMPLETE,
        TrialState.RUNNING,
        TrialState.RUNNING,
        TrialState.WAITING,
        TrialState.FAIL,
    )
    log(tmp_path, 0, 10, 30)
    log(tmp_path, 1, 10)
    # 2 has not reported, 3 waits with the log of another life, 4 was cancelled unrun.
    log(tmp_path, 3, 20)
    assert UsageReader(StudyFolder(tmp_path)).of_started(known) == [(30, 15.0), (10, 5.0), (0, 0.0)]


def test_logs_of_ended_trials_are_read_once_and_the_others_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = trials(TrialState.COMPLETE, TrialState.RUNNING, TrialState.FAIL)
    log(tmp_path, 0, 30)
    log(tmp_path, 1, 10)
    read: list[int] = []
    original = TrialFolder.last_report

    def counted(folder: TrialFolder) -> Report | None:
        read.append(folder.number)
        return original(folder)

    monkeypatch.setattr(TrialFolder, "last_report", counted)
    spending = UsageReader(StudyFolder(tmp_path))
    assert spending.of_started(known) == [(30, 15.0), (10, 5.0)]
    log(tmp_path, 1, 20)
    assert spending.of_started(known) == [(30, 15.0), (20, 10.0)]
    assert read == [0, 1, 2, 1]
