"""A longer budget: the same numbers as if the trial had been trained at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cluster.local_trial import run_trial
from cpc_core.config import PROBE_METRICS
from cpc_core.corpus.corpus import Corpus
from study.folders.provenance import attempts
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import TrialFolder
from study.spec.study_spec import StudySpec
from tests.helpers.corpus import one_trial, tones
from tests.helpers.trainings import log_without_timing


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return tones(tmp_path_factory.mktemp("continuing") / "tones")


def trained(folder: Path, spec: StudySpec, corpus: Corpus) -> list[int]:
    """Trains, and gives the steps that were taken."""
    taken: list[int] = []
    run_trial(
        StudyFolder(folder),
        spec,
        corpus,
        on_step=lambda config, step, measured: taken.append(step),
        on_report=lambda progress: None,
    )
    return taken


@pytest.mark.parametrize(
    ("shorter", "goes_on_at"),
    [(12, 13), (10, 9)],
    ids=["ended at a report", "ended between reports"],
)
def test_a_longer_budget_resumes_bit_for_bit(
    corpus: Corpus, tmp_path: Path, shorter: int, goes_on_at: int
) -> None:
    at_once = tmp_path / "apart" / "at_once"
    assert trained(at_once, one_trial(corpus, 20), corpus) == list(range(1, 21))
    assert trained(tmp_path / "shorter", one_trial(corpus, shorter), corpus) == list(
        range(1, shorter + 1)
    )
    assert trained(tmp_path / "longer", one_trial(corpus, 20), corpus) == list(
        range(goes_on_at, 21)
    )
    assert log_without_timing(tmp_path / "longer", 0) == log_without_timing(at_once, 0)
    assert [attempt["from_step"] for attempt in attempts(TrialFolder(tmp_path / "longer", 0))] == [
        0,
        goes_on_at - 1,
    ]
    ours, theirs = (
        torch.load(folder / "trials/t00000/checkpoint-000000020/state.pt")
        for folder in (tmp_path / "longer", at_once)
    )
    assert all(
        torch.equal(ours["model"][name], weights) for name, weights in theirs["model"].items()
    )


def test_the_probe_alone_is_measured_at_the_end_only(corpus: Corpus, tmp_path: Path) -> None:
    trained(tmp_path / "one", one_trial(corpus, 8), corpus)
    first, last = TrialFolder(tmp_path / "one", 0).log()
    assert set(last.metrics) - set(first.metrics) == set(PROBE_METRICS)


def test_the_same_trial_beside_it_takes_no_step(corpus: Corpus, tmp_path: Path) -> None:
    trained(tmp_path / "first", one_trial(corpus, 8), corpus)
    assert trained(tmp_path / "second", one_trial(corpus, 8, name="two"), corpus) == []
    assert log_without_timing(tmp_path / "second", 0) == log_without_timing(tmp_path / "first", 0)
