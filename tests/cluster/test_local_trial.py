"""`cpc trial run` is a study's driver, too: it obeys what is asked of the study."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.local_trial import run_trial
from cluster.study_run import run_study
from cpc_core.corpus.sample import open_corpus
from cpc_core.errors import ConfigError
from cpc_core.report import Report
from study.control import requests
from study.control.apply import apply_and_wait
from study.control.requests import ControlRequests, request
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import TrialFolder
from study.results.reader import read_study
from study.spec.objectives import ObjectiveSpec, label_notice, require_labels
from study.spec.study_spec import StudySpec
from tests.helpers.corpus import one_trial, tones
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
    assert [report.step for report in record.trials[0].history.reports] == [10, 20, 30]


def test_a_trial_without_labels_is_trained_without_a_probe(tmp_path: Path) -> None:
    corpus = tones(tmp_path / "unlabelled", labels=("", ""))
    ranked = one_trial(corpus, 8, objective={"metric": "dev_accuracy"})
    require_labels(ranked.objectives, corpus)
    record = run_trial(
        StudyFolder(tmp_path / "study"),
        ranked,
        corpus,
        on_step=lambda *_: None,
        on_report=lambda _: None,
    )
    (trial,) = record.trials
    assert trial.outcome == "complete"
    assert trial.metrics["dev_accuracy"] > 0 and "dev_map" not in trial.metrics


@pytest.mark.parametrize("metric", ["dev_map", "dev_probe_accuracy"])
def test_a_study_that_ranks_by_a_probe_needs_labels(tmp_path: Path, metric: str) -> None:
    """Before its folder is created, and before Ray is started."""
    corpus = tones(tmp_path / "unlabelled", labels=("", ""))
    spec = one_trial(corpus, 8, objective={"metric": metric})
    with pytest.raises(ConfigError, match=f"{metric} is of a probe, and train and dev clips of"):
        run_study(StudyFolder(tmp_path / "study"), spec, address=None, on_event=lambda _: None)
    assert not (tmp_path / "study").exists()
    assert label_notice(corpus).startswith("no probe: train and dev clips of unlabelled share no")


def test_one_class_is_told_before_training(tmp_path: Path) -> None:
    one, two = tones(tmp_path / "one", labels=("x", "x")), tones(tmp_path / "two")
    require_labels((ObjectiveSpec(),), one)
    assert label_notice(one).startswith("the probe tells nothing: all dev clips of one carry")
    assert label_notice(two) == ""
