from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

from cpc_core.report import Report
from dashboards.drawing.panels import Panel, TablePanels
from dashboards.figures import epsilon, history, ranking, sampling, temperature
from dashboards.figures.history import HistoryInfo
from dashboards.figures.ranking import RankingInfo
from study.analysis.answer import answer_info
from study.analysis.cells import NotShown, best_cell, cell_labels, group_cells, ranked, varied_knobs
from study.analysis.comparison import compare
from study.analysis.labels import cell_label, interval_text, number, value_label
from study.analysis.published import TABLE_1, TABLE_2
from study.analysis.statistics import Interval, t_interval
from study.analysis.tables import TrialTableInfo, trial_table_info
from study.results.records import StudyRecord, TrialRecord
from tests.helpers import records
from tests.helpers.records import study, trial

INFOS: tuple[Callable[[StudyRecord], Any], ...] = (
    temperature.FIGURE.info,
    epsilon.FIGURE.info,
    sampling.FIGURE.info,
    history.FIGURE.info,
    ranking.FIGURE.info,
    answer_info,
)

STUDIES = (
    records.temperature_study(),
    records.temperature_study((1.0, 0.5, 0.2, 0.05), 3),
    records.temperature_study(seeds=1),
    records.epsilon_study(),
    records.sampling_study(),
    records.running_study(),
    records.diverged_study(),
    records.empty_study(),
    records.search_study(),
)


def scored(cell: dict[str, Any], values: list[float], start: int = 0) -> list[TrialRecord]:
    return [
        trial(start + seed, cell, seed, metrics={"dev_map": value})
        for seed, value in enumerate(values)
    ]


def column_of(row: Any, metric: str) -> float:
    return float(vars(row)[metric])


def two_cells(first: list[float], second: list[float], **changes: Any) -> StudyRecord:
    trials = scored({"similarity": "dot"}, first) + scored(
        {"similarity": "nonlinear_cosine"}, second, len(first)
    )
    return study(trials, **changes)


def test_cells_group_replicates() -> None:
    cells = group_cells(two_cells([0.1, 0.2], [0.3, 0.5]))
    assert [cell.label for cell in cells] == ["dot product", "nonlinear cosine"]
    assert cells[1].metrics["dev_map"] == t_interval([0.3, 0.5])
    assert cells[1].values["dev_map"] == {0: 0.3, 1: 0.5}


@pytest.mark.parametrize(
    "outcome", ["pruned", "diverged", "failed", "cancelled", "running", "waiting"]
)
def test_only_complete_trials_enter_a_mean(outcome: Any) -> None:
    cell = {"similarity": "dot"}
    record = study([*scored(cell, [0.4, 0.5]), trial(2, cell, 2, outcome, {"dev_map": 0.99})])
    (group,) = group_cells(record)
    assert group.metrics["dev_map"] == t_interval([0.4, 0.5])
    assert group.outcomes == {"complete": 2, outcome: 1}


def test_a_metric_that_is_not_finite_enters_no_mean() -> None:
    record = study(scored({"similarity": "dot"}, [0.4, math.nan, 0.6]))
    assert group_cells(record)[0].values["dev_map"] == {0: 0.4, 2: 0.6}


def test_varied_knobs_count_absence_and_read_dotted_paths() -> None:
    record = study(
        [
            trial(0, {"adversary.kind": "none", "objective.temperature": 1.0}, 0),
            trial(
                1,
                {
                    "adversary.kind": "fgsm",
                    "adversary.epsilon_db": -55.0,
                    "objective.temperature": 1.0,
                },
                0,
            ),
        ]
    )
    assert varied_knobs(record) == ("adversary", "epsilon_db")


def test_best_follows_the_direction() -> None:
    record = two_cells([0.1, 0.2], [0.3, 0.5])
    assert [cell.label for cell in ranked(record)] == ["nonlinear cosine", "dot product"]
    best = best_cell(replace(record, direction="minimize"))
    assert best is not None
    assert best.label == "dot product"


def test_comparison_is_paired_over_shared_seeds() -> None:
    record = two_cells([0.10, 0.30, 0.50], [0.12, 0.33, 0.52])
    best, other = ranked(record)
    comparison = compare(record, best, other)
    assert comparison.overlap is True
    assert comparison.verdict == "better"
    assert comparison.words == (
        "better than dot product by 0.023, 97.5 % interval [0.003, 0.044] over 3 shared seeds"
    )


def test_comparison_flips_with_the_direction() -> None:
    record = two_cells([0.10, 0.30, 0.50], [0.12, 0.33, 0.52], direction="minimize")
    best, other = ranked(record)
    assert best.label == "dot product"
    assert compare(record, best, other).words.startswith(
        "better than nonlinear cosine by 0.023, 97.5 % interval [0.003, 0.044]"
    )
    assert compare(record, other, best).words.startswith(
        "worse than dot product by 0.023, 97.5 % interval [0.003, 0.044]"
    )


def test_an_interval_around_zero_is_undecided() -> None:
    record = two_cells([0.3, 0.5], [0.4, 0.45])
    first, second = ranked(record)
    assert compare(record, first, second).verdict == "undecided"
    assert "undecided" in answer_info(record).headline


def test_one_seed_decides_nothing() -> None:
    record = two_cells([0.3], [0.9])
    answer = answer_info(record)
    assert (
        answer.headline
        == "Ahead, but undecided: nonlinear cosine. Its dev mAP is 0.900 (n = 1, no interval)."
    )
    assert (
        answer.detail
        == "Undecided at n = 1: ahead of dot product by 0.600 on one seed, which gives no interval."
    )


def test_cells_without_a_shared_seed_are_undecided() -> None:
    trials = [
        trial(0, {"similarity": "dot"}, 0, metrics={"dev_map": 0.1}),
        trial(1, {"similarity": "cosine"}, 1, metrics={"dev_map": 0.9}),
    ]
    comparison = answer_info(study(trials)).comparison
    assert comparison is not None
    assert (comparison.verdict, comparison.difference) == ("undecided", None)


def test_answer_of_a_decided_study() -> None:
    answer = answer_info(two_cells([0.10, 0.11, 0.12], [0.50, 0.52, 0.51]))
    assert (
        answer.headline
        == "Best: nonlinear cosine. Its dev mAP is 0.510 [0.474, 0.546] over 3 seeds."
    )
    assert (
        answer.detail == "The interval is over seeds alone: the held-out clips are held fixed. "
        "It is better than dot product by 0.400, 97.5 % interval [0.364, 0.436] "
        "over 3 shared seeds."
    )
    assert answer.undecided == ()


def test_answer_names_what_the_best_cell_lost() -> None:
    record = two_cells([0.1, 0.1, 0.1], [0.5, 0.5])
    record = study(
        [
            *record.trials,
            trial(5, {"similarity": "nonlinear_cosine"}, 2, "diverged", {"dev_map": 0.0}),
        ]
    )
    answer = answer_info(record)
    assert answer.headline.startswith("Ahead, but undecided: ")
    assert answer.detail.endswith("no interval; nonlinear cosine lacks 1 seed (1 diverged).")
    alone = study([each for each in record.trials if each.knobs["similarity"] != "dot"])
    assert answer_info(alone).detail == "Only its complete trials count; beside them 1 diverged."


def test_answers_of_studies_without_a_result() -> None:
    assert answer_info(records.empty_study()).headline == "No trial has started yet."
    diverged = answer_info(records.diverged_study())
    assert (
        diverged.headline
        == "No setting can be ranked: none of the 8 trials that ended is complete (8 diverged)."
    )
    assert (diverged.best, diverged.score) == (None, None)


def test_answer_of_a_running_study_says_so() -> None:
    answer = answer_info(records.running_study())
    assert answer.headline.startswith("Interim, ahead so far: ")
    assert answer.comparison is not None
    assert (answer.comparison.verdict, answer.comparison.low) == ("interim", None)
    assert answer.state == "12 trials: 5 complete, 1 diverged, 1 running, 5 waiting"


def test_temperature_has_a_line_per_similarity() -> None:
    info = temperature.FIGURE.info(records.temperature_study((1.0, 0.5, 0.05), 2))
    assert isinstance(info, Panel)
    assert [(series.label, [point.x for point in series.points]) for series in info.series] == [
        ("dot product", [0.05, 0.5, 1.0]),
        ("nonlinear cosine", [0.05, 0.5, 1.0]),
    ]
    assert info.controlled
    assert all(set(point.seeds) == {0, 1} for point in info.points)


def test_a_search_is_not_joined() -> None:
    info = temperature.FIGURE.info(records.search_study())
    assert isinstance(info, Panel)
    assert not info.controlled
    assert {series.key for series in info.series} == {"dot", "cosine", "nonlinear_cosine"}


def test_settings_that_share_x_are_not_joined() -> None:
    cells = [
        {"temperature": tau, "batch_size": size} for tau, size in [(1.0, 8), (1.0, 16), (0.5, 8)]
    ]
    cells += [{"temperature": 0.5, "batch_size": size} for size in range(20, 25)]
    info = temperature.FIGURE.info(
        study([trial(index, cell, 0, metrics={"dev_map": 0.1}) for index, cell in enumerate(cells)])
    )
    assert isinstance(info, Panel)
    assert not info.controlled
    assert len(info.points) == 8


def test_epsilon_panels_stand_beside_table_1() -> None:
    info = epsilon.FIGURE.info(records.epsilon_study())
    assert isinstance(info, TablePanels)
    assert [panel.metric for panel in info.panels] == ["train_accuracy", "dev_accuracy", "dev_map"]
    for panel, published in zip(info.panels, info.published, strict=True):
        assert (
            [point.x for point in panel.points]
            == [-75, -65, -55, -45, -35]
            == [point.x for point in published.points]
        )
        assert [level.label for level in panel.levels] == [
            "no adversary",
            "Gaussian noise, ε = −55 dB",
        ]
        assert (
            [level.x for level in panel.levels]
            == ["no adversary", "Gaussian noise"]
            == [level.x for level in published.levels]
        )
        expected = [column_of(row, panel.metric) for row in TABLE_1 if row.epsilon_db is not None]
        assert [point.interval.mean for point in published.points] == expected


def test_one_epsilon_beside_a_reference_is_worth_a_figure() -> None:
    cells: list[dict[str, Any]] = [
        {"adversary": "none"},
        {"adversary": "fgsm", "epsilon_db": -55.0},
    ]
    info = epsilon.FIGURE.info(
        study([trial(index, cell, 0, metrics={"dev_map": 0.1}) for index, cell in enumerate(cells)])
    )
    assert isinstance(info, TablePanels)
    assert [panel.metric for panel in info.published] == ["dev_map"]


def test_noise_of_several_strengths_is_a_line_beside_the_attack() -> None:
    cells: list[dict[str, Any]] = [
        {"adversary": kind, "epsilon_db": db}
        for kind in ("gaussian", "fgsm")
        for db in (-55.0, -45.0)
    ]
    info = epsilon.FIGURE.info(
        study([trial(index, cell, 0, metrics={"dev_map": 0.1}) for index, cell in enumerate(cells)])
    )
    assert isinstance(info, TablePanels)
    (panel,) = info.panels
    assert panel.levels == ()
    lines = {series.key: [point.x for point in series.points] for series in panel.series}
    assert lines == {"gaussian": [-55.0, -45.0], "fgsm": [-55.0, -45.0]}


def test_sampling_panels_stand_beside_table_2_in_its_order() -> None:
    record = records.sampling_study()
    info = sampling.FIGURE.info(replace(record, trials=record.trials[::-1]))
    assert isinstance(info, TablePanels)
    for panel, published in zip(info.panels, info.published, strict=True):
        assert (
            [point.x for point in panel.points]
            == ["local", "cross", "exclusive"]
            == [point.x for point in published.points]
        )
        assert [point.interval.mean for point in published.points] == [
            column_of(row, panel.metric) for row in TABLE_2
        ]


def test_published_values_carry_no_interval() -> None:
    info = epsilon.FIGURE.info(records.epsilon_study())
    assert isinstance(info, TablePanels)
    assert all(
        point.interval.low is None and not point.seeds
        for panel in info.published
        for point in (*panel.points, *panel.levels)
    )


@pytest.mark.parametrize(
    ("info", "record", "pending"),
    [
        (temperature.FIGURE.info, records.epsilon_study(), False),
        (epsilon.FIGURE.info, records.temperature_study(), False),
        (sampling.FIGURE.info, records.temperature_study(), False),
        (temperature.FIGURE.info, records.temperature_study((0.05,)), False),
        (temperature.FIGURE.info, records.diverged_study(), True),
        (history.FIGURE.info, records.empty_study(), True),
    ],
)
def test_what_is_not_shown_says_why(
    info: Callable[[StudyRecord], Any], record: StudyRecord, pending: bool
) -> None:
    absent = info(record)
    assert isinstance(absent, NotShown)
    assert absent.pending is pending
    assert absent.reason.endswith(".")


def test_the_one_temperature_is_named() -> None:
    absent = temperature.FIGURE.info(records.temperature_study((0.05,)))
    assert absent == NotShown("Temperature τ does not vary in this study: 0.05.", False)


def test_history_marks_the_constant_answer() -> None:
    info = history.FIGURE.info(records.temperature_study())
    assert isinstance(info, HistoryInfo)
    assert info.constant_levels == {2: pytest.approx(0.6667, abs=1e-4)}
    assert list(info.curves) == ["train_accuracy", "dev_accuracy"]


def test_the_constant_answer_follows_the_number_of_negatives() -> None:
    reports = (Report(10, {"dev_accuracy": 0.8}),)
    info = history.FIGURE.info(
        study([trial(0, {"negative_count": count}, 0, history=reports) for count in (1, 4)])
    )
    assert isinstance(info, HistoryInfo)
    assert info.constant_levels == {1: 0.5, 4: 0.8}


def test_curves_are_sorted_finite_and_keep_their_outcome() -> None:
    reports = (
        Report(20, {"dev_accuracy": 0.7}),
        Report(10, {"dev_accuracy": 0.6}),
        Report(30, {"dev_accuracy": math.nan}),
        Report(40, {}),
    )
    info = history.FIGURE.info(
        study([trial(0, {"similarity": "dot"}, 3, "diverged", history=reports)])
    )
    assert isinstance(info, HistoryInfo)
    (curve,) = info.curves["dev_accuracy"]
    assert (curve.steps.tolist(), curve.values.tolist()) == ([10, 20], [0.6, 0.7])
    assert (curve.outcome, curve.seed) == ("diverged", 3)


def test_shades_follow_the_other_knob_within_a_family() -> None:
    info = history.FIGURE.info(records.temperature_study((1.0, 0.5, 0.05), 1))
    assert isinstance(info, HistoryInfo)
    assert [(group.family, group.label, group.shade) for group in info.groups[:3]] == [
        ("dot", "dot product, τ = 0.05", 0.0),
        ("dot", "dot product, τ = 0.5", 0.5),
        ("dot", "dot product, τ = 1", 1.0),
    ]


def test_of_many_cells_only_the_best_are_coloured() -> None:
    record = records.search_study()
    info = history.FIGURE.info(record)
    assert isinstance(info, HistoryInfo)
    assert {group.cell_id for group in info.groups if group.shade is not None} == {
        cell.cell_id for cell in ranked(record)[:4]
    }
    assert len(info.groups) == 40


def test_ranking_keeps_count_of_what_it_cuts_and_lacks() -> None:
    record = records.search_study()
    info = ranking.FIGURE.info(record)
    assert isinstance(info, RankingInfo)
    assert (len(info.cells), info.hidden, len(info.unranked)) == (20, 9, 11)
    means = [cell.metrics["dev_map"].mean for cell in info.cells]
    assert means == sorted(means, reverse=True)


def test_trial_table_has_a_row_per_trial_however_it_ended() -> None:
    record = records.running_study()
    info = trial_table_info(record)
    assert isinstance(info, TrialTableInfo)
    assert [row.outcome for row in info.trials] == [each.outcome for each in record.trials]
    assert info.knobs == ("similarity", "temperature")
    assert info.metrics == ("dev_map", "dev_accuracy", "train_accuracy")
    assert info.trials[5].reason.startswith("dev accuracy stayed")
    assert (info.trials[6].step, info.trials[9].step) == (450, 0)


@pytest.mark.parametrize("record", STUDIES, ids=lambda record: record.name)
@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.__qualname__)
def test_what_is_not_complete_changes_no_summary(
    info: Callable[[StudyRecord], Any], record: StudyRecord
) -> None:
    wild = {"dev_map": 99.0, "dev_accuracy": 99.0, "train_accuracy": 99.0}
    trials = tuple(
        each if each.outcome == "complete" else replace(each, metrics=wild)
        for each in record.trials
    )
    assert plain(info(replace(record, trials=trials))) == plain(info(record))


def plain(value: Any) -> Any:
    """A value of dataclasses and arrays as one that can be compared."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if is_dataclass(value):
        return type(value), {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, tuple) else value


def test_panels_hold_only_complete_values() -> None:
    info = temperature.FIGURE.info(records.running_study())
    assert isinstance(info, Panel)
    assert _seed_counts(info) == {0.05: 1, 0.2: 2, 1.0: 2}
    assert [series.label for series in info.series] == ["dot product"]


def _seed_counts(panel: Panel) -> dict[Any, int]:
    return {point.x: len(point.seeds) for point in panel.points}


@pytest.mark.parametrize(
    ("knobs", "expected"),
    [
        ({"temperature": 0.05, "similarity": "nonlinear_cosine"}, "nonlinear cosine, τ = 0.05"),
        ({"epsilon_db": -55.0, "adversary": "fgsm"}, "FGSM, ε = −55 dB"),
        ({"negatives": "cross"}, "cross negatives"),
        ({"batch_size": 1024}, "Batch 1024 clips"),
        ({"encoder.pooling": "none"}, "pooling none"),
    ],
)
def test_labels_of_cells(knobs: dict[str, Any], expected: str) -> None:
    assert cell_label(knobs) == expected


def test_labels_of_numbers() -> None:
    assert [number(value) for value in (0.4671, -0.0101, 15.28, 1234.5)] == [
        "0.467",
        "−0.010",
        "15.280",
        "1,234",
    ]
    assert [value_label("learning_rate", value) for value in (1e-4, 0.038996, 1200, True)] == [
        "0.0001",
        "0.039",
        "1200",
        "True",
    ]
    assert interval_text(Interval(0.5, None, None, 1)) == "0.500 (n = 1, no interval)"


def ablation() -> StudyRecord:
    first = {
        "similarity": "nonlinear_cosine",
        "objective.temperature": 0.05,
        "adversary": "fgsm",
        "epsilon_db": -55.0,
    }
    cells = [
        first,
        {**first, "similarity": "dot"},
        {**first, "objective.temperature": 1.0},
        {**first, "epsilon_db": -35.0},
    ]
    cells.append(
        {name: value for name, value in first.items() if name != "epsilon_db"}
        | {"adversary": "none"}
    )
    return study(
        [
            trial(index, cell, 0, metrics={"dev_map": 0.1 * index})
            for index, cell in enumerate(cells)
        ],
        reference=first,
    )


def test_cells_of_an_ablation_are_named_by_what_differs() -> None:
    record = ablation()
    assert [cell.label for cell in group_cells(record)] == [
        "the reference",
        "dot product",
        "τ = 1",
        "ε = −35 dB",
        "no adversary",
    ]
    labels = [cell_labels(record)[each.cell_id] for each in record.trials]
    assert labels == [cell.label for cell in group_cells(record)]


def test_a_figure_of_an_ablation_varies_its_own_knobs_alone() -> None:
    by_tau, by_epsilon = temperature.FIGURE.info(ablation()), epsilon.FIGURE.info(ablation())
    assert isinstance(by_tau, Panel) and isinstance(by_epsilon, TablePanels)
    assert [(series.label, [point.x for point in series.points]) for series in by_tau.series] == [
        ("nonlinear cosine", [0.05, 1.0]),
        ("dot product", [0.05]),
    ]
    (panel,) = by_epsilon.panels
    assert [point.x for point in panel.points] == [-55, -35]
    assert [level.x for level in panel.levels] == ["no adversary"]
