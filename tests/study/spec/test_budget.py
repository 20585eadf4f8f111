from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from study.analysis.answer import answer_info
from study.folders.study_folder import StudyFolder
from study.folders.usage import elapsed_s, usage_of
from study.results.reader import read_study
from study.spec.budget import Budget
from study.spec.study_spec import StudySpec
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import STEPS, asked, log_up_to, opened, train


def spec_with(**budget: Any) -> StudySpec:
    return tiny_spec(
        space={"temperature": [0.05, 0.1, 0.2, 0.3]},
        budget=budget,
        resources={"workers": 2, "gpus_per_worker": 0.5, "cpus_per_worker": 1},
    )


@pytest.mark.parametrize(
    ("budget", "trials", "words"),
    [
        ({}, 4, None),
        ({"trials": 3}, 3, "its budget of 3 trials is spent"),
        ({"steps": STEPS + 1}, 2, f"its budget of {STEPS + 1} optimizer steps is spent"),
        ({"gpu_h": 2 / 3600}, 2, "GPU hours is spent"),
        (
            {"trials": 3, "steps": 2 * STEPS},
            2,
            f"its budget of {2 * STEPS} optimizer steps is spent",
        ),
        ({"trials": 9}, 4, None),
    ],
)
def test_no_trial_starts_once_the_budget_is_spent(
    tmp_path: Path, budget: dict[str, Any], trials: int, words: str | None
) -> None:
    """Every trial takes one second on one GPU."""
    assert train(tmp_path, spec_with(**budget)) == trials
    record = read_study(StudyFolder(tmp_path))
    assert record.finished
    assert len(record.trials) == 4
    assert (record.budget_spent or "").endswith(words or "")
    assert (record.budget_spent is None) == (words is None)
    assert (words or "complete") in answer_info(record).state


def test_running_trials_count_and_end_as_they_would(tmp_path: Path) -> None:
    with opened(tmp_path, spec_with(trials=2)) as dispatcher:
        first, second = asked(dispatcher), asked(dispatcher)
        assert dispatcher.ask() is None
        assert not dispatcher.finished
        assert not read_study(StudyFolder(tmp_path)).finished
        for assignment in (first, second):
            log_up_to(dispatcher, assignment, STEPS, outcome="complete")
            dispatcher.tell(assignment.number, "complete", {"dev_map": 0.5})
        assert dispatcher.finished


def test_an_interrupted_trial_is_finished_whatever_the_budget(tmp_path: Path) -> None:
    with opened(tmp_path, spec_with(steps=10)) as dispatcher:
        first = asked(dispatcher)
        log_up_to(dispatcher, first, 10)
    with opened(tmp_path, spec_with(steps=10)) as dispatcher:
        assert asked(dispatcher) == first
        assert dispatcher.ask() is None


def test_a_raised_budget_goes_on_in_the_same_study(tmp_path: Path) -> None:
    assert train(tmp_path, spec_with(trials=1)) == 1
    assert train(tmp_path, spec_with(trials=3)) == 2
    assert train(tmp_path, spec_with()) == 1
    assert read_study(StudyFolder(tmp_path)).budget_spent is None


def test_the_clock_adds_up_over_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1000.0]
    clock = SimpleNamespace(time=lambda: now_s[0], monotonic=lambda: now_s[0])
    monkeypatch.setattr("study.folders.usage.time", clock)
    spent, hour = "its budget of 1 hours is spent", spec_with(wall_h=1.0)
    with opened(tmp_path, hour) as dispatcher:
        now_s[0] += 3500
        assert dispatcher.budget_spent is None
    now_s[0] += 5000
    with opened(tmp_path, hour) as dispatcher:
        now_s[0] += 99
        before = dispatcher.budget_spent
        now_s[0] += 1
        assert (before, dispatcher.budget_spent) == (None, spent)
    record = read_study(StudyFolder(tmp_path))
    assert (record.wall_s, record.budget_spent) == (3600, spent)
    assert train(tmp_path, hour) == 0
    assert train(tmp_path, spec_with(wall_h=2.0)) == 4


@pytest.mark.parametrize(
    ("runs", "seconds"),
    [
        ([], 0),
        ([(10, 20), (30, 35)], 15),
        ([(30, 35), (10, 20)], 15),
        ([(10, 20), (15, 25)], 15),
        ([(10, 40), (15, 25), (30, 50)], 40),
    ],
)
def test_runs_at_the_same_time_count_once(runs: list[tuple[float, float]], seconds: float) -> None:
    assert (
        elapsed_s({"openings": 3, **{f"run {index}": run for index, run in enumerate(runs)}})
        == seconds
    )


def test_spending_by_hand() -> None:
    found = usage_of([(100, 60.0), (40, 30.0), (0, 0.0)], 2.0, 500.0)
    assert (found.trials, found.steps, found.gpu_s, found.wall_s) == (3, 140, 180.0, 500.0)
    assert Budget(trials=3, gpu_h=0.5).words == "3 trials, 0.5 GPU hours"
    assert Budget().words == ""
