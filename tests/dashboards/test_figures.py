from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboards.drawing.panels import Panel, TablePanels
from dashboards.drawing.theme import COLOURS, MUTED, PAPER_GREY, WASH
from dashboards.figures import epsilon, ranking, sampling, temperature
from dashboards.figures import history as learning_curves
from dashboards.figures.history import HistoryInfo, draw_curves, history_key
from dashboards.figures.ranking import RankingInfo
from dashboards.tables import beside_published
from study.results.records import StudyRecord, TrialRecord
from tests.helpers import records


def traces(figure: go.Figure, meta: str) -> list[Any]:
    return [trace for trace in figure.data if trace.meta == meta]


def curves_in(trace: Any) -> int:
    """Curves of one colour, each of which a gap follows."""
    return int(np.isnan(trace.y).sum())


def temperature_figure(record: StudyRecord) -> go.Figure:
    info = temperature.FIGURE.info(record)
    assert isinstance(info, Panel)
    return temperature.FIGURE.draw(info)


def epsilon_info() -> TablePanels:
    info = epsilon.FIGURE.info(records.epsilon_study())
    assert isinstance(info, TablePanels)
    return info


def history(record: StudyRecord) -> HistoryInfo:
    info = learning_curves.FIGURE.info(record)
    assert isinstance(info, HistoryInfo)
    return info


def test_temperature_draws_a_labelled_line_per_similarity() -> None:
    record = records.temperature_study((1.0, 0.2, 0.05), 3)
    figure = temperature_figure(record)
    means = traces(figure, "means")
    assert [len(trace.x) for trace in means] == [3, 3]
    assert [trace.mode for trace in means] == ["lines+markers"] * 2
    assert [trace.line.color for trace in means] == list(COLOURS[:2])
    assert {"dot product", "nonlinear cosine"} <= {note.text for note in figure.layout.annotations}
    assert figure.layout.xaxis.type == "log"
    assert list(figure.layout.xaxis.ticktext) == ["0.05", "0.2", "1"]
    intervals = traces(figure, "interval")
    assert [list(trace.y).count(None) for trace in intervals] == [3, 3], "a gap after each of three"
    assert [len(trace.y) for trace in traces(figure, "seeds")] == [9, 9]


def test_hover_names_seeds_and_interval() -> None:
    text = traces(temperature_figure(records.temperature_study((1.0, 0.05), 3)), "means")[
        0
    ].hovertext[0]
    assert text.startswith("<b>dot product, τ = 0.05</b><br>dev mAP 0.4")
    assert [line.partition(":")[0] for line in text.split("<br>")[2:]] == [
        "seed 0",
        "seed 1",
        "seed 2",
    ]
    assert "[" in text


def test_one_seed_draws_points_without_intervals() -> None:
    figure = temperature_figure(records.temperature_study(seeds=1))
    assert not traces(figure, "interval")
    assert "n = 1, no interval" in traces(figure, "means")[0].hovertext[0]


def test_a_search_draws_points_without_lines() -> None:
    assert {
        trace.mode for trace in traces(temperature_figure(records.search_study()), "means")
    } == {"markers"}


def test_ours_and_the_papers_epsilon_look_different() -> None:
    info = epsilon_info()
    ours, paper = epsilon.FIGURE.draw(info), epsilon.FIGURE.draw_published(info)
    assert len(traces(ours, "means")) == 3 == len(traces(paper, "published"))
    assert (
        not traces(ours, "published")
        and not traces(paper, "means")
        and not traces(paper, "interval")
    )
    for trace in traces(paper, "published"):
        assert (trace.line.color, trace.line.dash, trace.marker.color) == (
            PAPER_GREY,
            "5px,4px",
            "white",
        )
    assert list(traces(paper, "published")[2].y) == [0.271, 0.272, 0.275, 0.270, 0.267]
    assert ours.layout.xaxis3.range == paper.layout.xaxis3.range
    assert ours.layout.yaxis3.autorangeoptions != paper.layout.yaxis3.autorangeoptions


def test_reference_levels_are_lines_at_their_means() -> None:
    info = epsilon_info()
    lines = [shape for shape in epsilon.FIGURE.draw(info).layout.shapes if shape.type == "line"]
    assert [line.y0 for line in lines] == [
        level.interval.mean for panel in info.panels for level in panel.levels
    ]
    published = [shape.y0 for shape in epsilon.FIGURE.draw_published(info).layout.shapes]
    assert published == [0.970, 0.968, 0.905, 0.901, 0.268, 0.270]


def test_noise_of_several_strengths_is_a_line() -> None:
    info = table_1()
    assert [line.key for line in info.panels[2].series] == ["gaussian", "fgsm"]
    assert [point.x for point in info.panels[2].series[0].points] == [-65.0, -55.0]
    assert [point.x for point in info.published[2].levels] == ["no adversary", "Gaussian noise"]


def test_longer_training_has_a_level_of_its_own() -> None:
    info, longer = table_1(), "no adversary, 2 × the steps"
    for panel in info.panels:
        assert [level.x for level in panel.levels] == ["no adversary", longer]
    drawn = epsilon.FIGURE.draw(info)
    assert [note.text for note in drawn.layout.annotations].count(longer) == 3
    lines = [shape for shape in drawn.layout.shapes if shape.type == "line"]
    assert len({line.line.color for line in lines[:2]}) == 2
    assert str(beside_published("ε", info).to_plotly_json()).count(longer) == 1


def table_1() -> TablePanels:
    """Noise of two strengths, and training without an adversary for twice the steps."""
    record = records.epsilon_study()
    trials: list[TrialRecord] = []
    for trial in record.trials:
        number = 100 + len(trials)
        if trial.knobs["adversary"] == "none":
            trials.append(replace(trial, knobs={**trial.knobs, "steps": 1500}))
            knobs = {**trial.knobs, "steps": 3000}
            trials.append(replace(trial, number=number, cell_id="longer", knobs=knobs))
        else:
            trials.append(trial)
        if trial.knobs["adversary"] == "gaussian":
            knobs = {**trial.knobs, "epsilon_db": -65.0}
            trials.append(replace(trial, number=number, cell_id="weaker", knobs=knobs))
    info = epsilon.FIGURE.info(replace(record, trials=tuple(trials)))
    assert isinstance(info, TablePanels)
    return info


def test_sampling_keeps_the_order_of_table_2() -> None:
    info = sampling.FIGURE.info(records.sampling_study())
    assert isinstance(info, TablePanels)
    for figure in (sampling.FIGURE.draw(info), sampling.FIGURE.draw_published(info)):
        assert list(figure.layout.xaxis3.categoryarray) == ["local", "cross", "exclusive"]
    assert list(traces(sampling.FIGURE.draw_published(info), "published")[0].y) == [
        0.906,
        0.970,
        0.994,
    ]


def test_ranking_has_a_row_per_cell_best_on_top() -> None:
    info = ranking.FIGURE.info(records.temperature_study((1.0, 0.05), 3))
    assert isinstance(info, RankingInfo)
    figure = ranking.FIGURE.draw(info)
    means = traces(figure, "means")
    assert [y for trace in means for y in trace.y] == [0, 1, 2, 3]
    assert [x for trace in means for x in trace.x] == [
        cell.metrics["dev_map"].mean for cell in info.cells
    ]
    assert [trace.marker.color for trace in means] == [COLOURS[0], MUTED]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]


def test_history_draws_every_trial_and_the_constant_answer() -> None:
    info = history(records.running_study())
    figure = draw_curves(info, "dev_accuracy")
    assert sum(map(curves_in, traces(figure, "curve"))) == 7
    assert [curves_in(trace) for trace in traces(figure, "curve")] == [2, 2, 2, 1]
    assert [len(traces(figure, outcome)) for outcome in ("diverged", "running", "pruned")] == [
        1,
        1,
        0,
    ]
    assert figure.layout.shapes[0].y0 == pytest.approx(2 / 3)
    assert figure.layout.annotations[0].text == "constant answer with 2 negatives: 0.6667"


def test_history_alone_names_its_cells_at_their_ends() -> None:
    info = history(records.temperature_study())
    figure = learning_curves.FIGURE.draw(info)
    notes = [note.text for note in figure.layout.annotations]
    ends = [f'<span style="color:{colour}">━</span> {label}' for colour, label in history_key(info)]
    assert notes == ["constant answer with 2 negatives: 0.6667", *ends, "Dev CPC accuracy"]


def test_collapsed_curves_look_flat() -> None:
    info = history(records.diverged_study())
    limits = draw_curves(info, "train_accuracy").layout.yaxis.autorangeoptions
    assert limits.maxallowed - limits.minallowed > 0.1


def test_each_cell_has_a_colour_and_a_key() -> None:
    info = history(records.temperature_study((1.0, 0.5, 0.2, 0.05), 2))
    key = history_key(info)
    assert len({colour for colour, _ in key}) == len(key) == 8
    assert [label for _, label in key] == [group.label for group in info.groups]


def test_of_many_cells_the_rest_is_context() -> None:
    key = history_key(history(records.search_study()))
    assert len(key) == 5
    assert key[-1] == (WASH, "36 other settings")


@pytest.mark.parametrize("metric", ["train_accuracy", "dev_loss"])
def test_figures_follow_the_deciding_metric(metric: str) -> None:
    record = records.temperature_study()
    trials = tuple(
        replace(trial, metrics={**trial.metrics, "dev_loss": 9.0 + trial.number})
        for trial in record.trials
    )
    figure = temperature_figure(replace(record, metric=metric, trials=trials))
    expected = {"train_accuracy": "Train CPC accuracy", "dev_loss": "Dev loss"}[metric]
    assert figure.layout.annotations[0].text == expected


def ranked_by_infonce(record: StudyRecord) -> StudyRecord:
    """The same study with ranking accuracies; its other accuracies are arbitrary."""

    def renamed(metrics: Mapping[str, float]) -> dict[str, float]:
        arbitrary = dict.fromkeys(("train_accuracy", "dev_accuracy"), -1.0)
        ranks = {name.replace("_acc", "_ranking_acc"): metrics[name] for name in arbitrary}
        return {**metrics, **arbitrary, **ranks}

    trials = tuple(
        records.with_history(
            trial,
            tuple(replace(each, metrics=renamed(each.metrics)) for each in trial.history.reports),
            metrics=renamed(trial.metrics) if trial.metrics else {},
        )
        for trial in record.trials
    )
    return replace(record, accuracy="ranking_accuracy", trials=trials)


def test_under_infonce_figures_show_ranking_accuracy() -> None:
    info = history(ranked_by_infonce(records.temperature_study()))
    assert list(info.curves) == ["train_ranking_accuracy", "dev_ranking_accuracy"]
    assert info.constant_levels == {2: pytest.approx(1 / 3)}
    ranks = ranking.FIGURE.info(ranked_by_infonce(records.temperature_study()))
    assert isinstance(ranks, RankingInfo)
    assert ranks.accuracies == ("dev_ranking_accuracy", "train_ranking_accuracy")


@pytest.mark.parametrize(
    ("figure", "record"),
    [
        (epsilon.FIGURE, records.epsilon_study()),
        (sampling.FIGURE, records.sampling_study()),
    ],
    ids=["epsilon", "sampling"],
)
def test_the_paper_has_no_ranking_accuracy(
    figure: epsilon.EpsilonFigure | sampling.SamplingFigure, record: StudyRecord
) -> None:
    info = figure.info(ranked_by_infonce(record))
    assert isinstance(info, TablePanels)
    ours = ["train_ranking_accuracy", "dev_ranking_accuracy", "dev_map"]
    assert [panel.metric for panel in info.panels] == ours
    assert [panel.metric for panel in info.published] == ["dev_map"]
    figure.section(info)
    for row in rows(beside_published("Setting", info)):
        assert [row[2], row[4]] == ["–", "–"]
    assert any(row[6] != "–" for row in rows(beside_published("Setting", info)))


def rows(table: Any) -> list[list[Any]]:
    """Contents of the cells of a table's body, the row's name first."""
    (_, body) = table.children.children
    return [[cell.children for cell in row.children] for row in body.children]
