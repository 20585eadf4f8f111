from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.calibrate import seconds_per_step
from cpc_core.config import CpcConfig
from cpc_core.errors import ConfigError
from study.analysis.cost import cost_info, duration_text, predicted_s
from study.folders.study_folder import StudyFolder
from study.planning import (
    INLINE_TRIAL_S,
    RAY_TRAIN_TRIAL_S,
    START_S,
    checkpoint_bytes,
    keep_prediction,
    planned_cells,
    predicted,
)
from study.results.reader import read_study
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import ended_study

CLIP_SAMPLES = 16_000


class Timer:
    """Takes longer under attack, and records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []

    def __call__(self, config: CpcConfig, clip_samples: int, threads: int) -> float:
        self.calls.append((config.adversary.kind, clip_samples, threads))
        return 0.2 if config.adversary.kind == "fgsm" else 0.1


SPEC = tiny_spec(
    space={"adversary": ["none", "fgsm"], "temperature": [0.05, 0.1]},
    seeds=[0, 1, 2],
    resources={"concurrent_trials": 2, "cpus_per_worker": 1},
)


def test_cells_that_cost_the_same_are_timed_once() -> None:
    timer = Timer()
    cells = planned_cells(SPEC, CLIP_SAMPLES, timer)
    assert timer.calls == [("none", CLIP_SAMPLES, 1), ("fgsm", CLIP_SAMPLES, 1)]
    assert [(cell.cell, cell.trials, cell.steps, cell.seconds_per_step) for cell in cells] == [
        ("τ = 0.05, no adversary", 3, 30, 0.1),
        ("τ = 0.1, no adversary", 3, 30, 0.1),
        ("τ = 0.05, FGSM", 3, 30, 0.2),
        ("τ = 0.1, FGSM", 3, 30, 0.2),
    ]
    assert cells[2].minutes_per_trial == pytest.approx((30 * 0.2 + INLINE_TRIAL_S) / 60)


def test_cell_that_would_diverge_is_timed_too() -> None:
    (cell,) = planned_cells(
        tiny_spec(space={"learning_rate": [1e30]}), CLIP_SAMPLES, seconds_per_step
    )
    assert cell.seconds_per_step is not None and cell.seconds_per_step > 0


def test_ray_train_costs_every_trial_the_start_of_its_processes() -> None:
    alone, nested = (
        predicted(spec, planned_cells(spec, CLIP_SAMPLES, Timer()))
        for spec in (tiny_spec(), tiny_spec(resources={"inline": False, "concurrent_trials": 1}))
    )
    assert nested.wall_s - alone.wall_s == pytest.approx(2 * (RAY_TRAIN_TRIAL_S - INLINE_TRIAL_S))


def test_nothing_is_timed_without_calibration() -> None:
    assert {cell.seconds_per_step for cell in planned_cells(SPEC, CLIP_SAMPLES, None)} == {None}


def test_workers_share_the_steps_of_a_trial() -> None:
    spec = tiny_spec(resources={"workers": 2, "gpus_per_worker": 0.5})
    cells = planned_cells(spec, CLIP_SAMPLES, Timer())
    assert {cell.seconds_per_step for cell in cells} == {0.05}
    assert predicted(spec, cells).gpus_per_trial == 1.0


def test_the_whole_study_by_hand() -> None:
    prediction = predicted(SPEC, planned_cells(SPEC, CLIP_SAMPLES, Timer()))
    assert prediction.training_s["τ = 0.05, FGSM"] == pytest.approx(6.0)
    assert prediction.mean_training_s == pytest.approx(4.5)
    # Twelve trials, two at a time.
    assert prediction.wall_s == pytest.approx(6 * (4.5 + INLINE_TRIAL_S) + START_S)


def test_checkpoints_by_hand() -> None:
    """Twelve trials keep two checkpoints each, of a value and two moments in four bytes for every
    parameter.
    """
    asked: list[int] = []

    def parameters(config: CpcConfig) -> int:
        asked.append(config.encoder.width)
        return 1000

    assert checkpoint_bytes(SPEC, parameters) == 12 * 2 * 12 * 1000
    assert len(asked) == 1


def test_a_pruned_search_is_predicted_to_take_its_share() -> None:
    space = {"temperature": {"low": 0.05, "high": 1.0, "log": True}}
    search = {
        "space": space,
        "sampler": {"kind": "random", "trials": 9},
        "objective": {"metric": "dev_accuracy"},
    }
    full, halved = (
        tiny_spec(**search),
        tiny_spec(**search, pruner={"kind": "asha", "first_rung": 10}),
    )
    cells = planned_cells(full, CLIP_SAMPLES, Timer())
    # Nine trials of ten steps, and three of the remaining twenty.
    saved_s = 9 * 30 * 0.1 - (9 * 10 + 3 * 20) * 0.1
    assert predicted(full, cells).wall_s - predicted(halved, cells).wall_s == pytest.approx(saved_s)


def test_a_search_is_planned_by_the_corners_of_its_space() -> None:
    space = {"temperature": {"low": 0.05, "high": 1.0, "log": True}}
    cells = planned_cells(
        tiny_spec(space=space, sampler={"kind": "random", "trials": 4}), CLIP_SAMPLES, Timer()
    )
    assert [(cell.cell, cell.trials) for cell in cells] == [("τ = 0.05", 0), ("τ = 1", 0)]


def test_the_first_prediction_is_compared_with_the_cost(tmp_path: Path) -> None:
    record = ended_study(tmp_path, SPEC, lambda _: {"dev_map": 0.5}, trials=5)
    assert (record.prediction, cost_info(record)) == (None, None)
    keep_prediction(StudyFolder(tmp_path), SPEC, CLIP_SAMPLES, Timer())
    keep_prediction(StudyFolder(tmp_path), SPEC, CLIP_SAMPLES, lambda *_: 9.0)
    record = read_study(StudyFolder(tmp_path))
    cost = cost_info(record)
    assert cost is not None
    # Five trials of a minute each: two without adversary, two with, and the first again with the
    # next seed.
    assert (cost.trials, cost.measured_s) == (5, 300.0)
    assert cost.predicted_s == pytest.approx(3 + 3 + 6 + 6 + 3)
    assert cost.words == f"5 complete trials trained 5 min 00 s, predicted 21 s (× {300 / 21:.2f})."
    assert [predicted_s(record, trial) for trial in record.trials[:3]] == [
        pytest.approx(seconds) for seconds in (3, 3, 6)
    ]


def test_gpu_hours_are_named_where_there_are_gpus(tmp_path: Path) -> None:
    record = ended_study(tmp_path, SPEC, lambda _: {"dev_map": 0.5})
    keep_prediction(StudyFolder(tmp_path), SPEC, CLIP_SAMPLES, lambda *_: 2.0)
    prediction = read_study(StudyFolder(tmp_path)).prediction
    assert prediction is not None
    cost = cost_info(
        replace(record, prediction=replace(prediction, gpus_per_trial=4.0), wall_s=500.0)
    )
    assert cost is not None
    assert cost.words.endswith(
        "(× 1.00); 0.80 GPU hours, predicted 0.80; the study ran 8 min 20 s, predicted 6 min 14 s."
    )


def test_a_damaged_prediction_is_named(tmp_path: Path) -> None:
    ended_study(tmp_path, SPEC, lambda _: {"dev_map": 0.5}, trials=1)
    (tmp_path / "prediction.json").write_text("{")
    with pytest.raises(ConfigError, match=r"prediction\.json is damaged"):
        read_study(StudyFolder(tmp_path))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (38.4, "38 s"),
        (59.9, "1 min 00 s"),
        (250, "4 min 10 s"),
        (7500, "2 h 05 min"),
        (10**6, "11.6 days"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
