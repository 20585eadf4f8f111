"""`cpc trial run` is a study's driver, too: it obeys what is asked of the study."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.local_trial import run_trial
from cpc_core.corpus.sample import open_corpus
from cpc_core.report import Report
from study.control import requests
from study.control.apply import apply_and_wait
from study.control.requests import ControlRequests, request
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import TrialFolder
from study.results.reader import read_study
from study.spec.study_spec import StudySpec
from tests.helpers.specs import tiny_spec

SPEC = tiny_spec(space={"temperature": [0.1]})


def trained(folder: Path, spec: StudySpec, asked: ControlRequests | None = None) -> list[int]:
    """Steps of the reports that came; the orders are given at the first one."""
    steps: list[int] = []

    def report(progress: Report) -> None:
        steps.append(progress.step)
        if asked is not None and len(steps) == 1:
            request(StudyFolder(folder), asked)

    run_trial(
        StudyFolder(folder),
        spec,
        open_corpus(spec.corpus),
        on_step=lambda *_: None,
        on_report=report,
    )
    return steps


def test_a_single_trial_is_stopped_cancelled_and_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "POLL_S", 0.0)
    assert trained(tmp_path, SPEC, ControlRequests(desired="stop")) == [10]
    assert read_study(StudyFolder(tmp_path)).trials[0].outcome == "running"
    assert [entry.step for entry in TrialFolder(tmp_path, 0).log()] == [10]
    assert trained(tmp_path, SPEC, ControlRequests(cancel=(0,))) == [20]
    assert [entry.step for entry in TrialFolder(tmp_path, 0).log()] == [10, 20]
    assert read_study(StudyFolder(tmp_path)).trials[0].outcome == "cancelled"
    assert trained(tmp_path, SPEC) == []
    apply_and_wait(StudyFolder(tmp_path), ControlRequests(retry=(0,)))
    assert trained(tmp_path, SPEC) == [30]
    record = read_study(StudyFolder(tmp_path))
    assert (record.trials[0].number, record.trials[0].outcome, record.finished) == (
        1,
        "complete",
        True,
    )
    assert [report.step for report in record.trials[0].history] == [10, 20, 30]
