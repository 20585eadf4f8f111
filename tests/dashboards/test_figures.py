from __future__ import annotations

from dataclasses import replace
from typing import Any

import plotly.graph_objects as go
import pytest

from dashboards.drawing.theme import COLOURS, PAPER_GREY, WASH
from dashboards.figures.epsilon import (
    EpsilonInfo,
    draw_epsilon,
    draw_published_epsilon,
    epsilon_info,
)
from dashboards.figures.history import (
    HistoryInfo,
    draw_history,
    group_colours,
    history_info,
    history_key,
)
from dashboards.figures.ranking import RankingInfo, draw_ranking, ranking_info
from dashboards.figures.sampling import (
    SamplingInfo,
    draw_published_sampling,
    draw_sampling,
    sampling_info,
)
from dashboards.figures.temperature import TemperatureInfo, draw_temperature, temperature_info
from study.results.records import StudyRecord
from tests.helpers import records


def traces(figure: go.Figure, meta: str) -> list[Any]:
    return [trace for trace in figure.data if trace.meta == meta]


def temperature(record: StudyRecord) -> go.Figure:
    info = temperature_info(record)
    assert isinstance(info, TemperatureInfo)
    return draw_temperature(info)


def history(record: StudyRecord) -> HistoryInfo:
    info = history_info(record)
    assert isinstance(info, HistoryInfo)
    return info


def test_temperature_draws_a_labelled_line_per_similarity() -> None:
    record = records.temperature_study((1.0, 0.2, 0.05), 3)
    figure = temperature(record)
    means = traces(figure, "means")
    assert [len(trace.x) for trace in means] == [3, 3]
    assert [trace.mode for trace in means] == ["lines+markers"] * 2
    assert [trace.line.color for trace in means] == list(COLOURS[:2])
    assert {"dot product", "nonlinear cosine"} <= {note.text for note in figure.layout.annotations}
    assert figure.layout.xaxis.type == "log"
    assert list(figure.layout.xaxis.ticktext) == ["0.05", "0.2", "1"]
    assert len(traces(figure, "interval")) == 6
    assert sum(len(trace.y) for trace in traces(figure, "seeds")) == 18


def test_hover_names_seeds_and_interval() -> None:
    text = traces(temperature(records.temperature_study((1.0, 0.05), 3)), "means")[0].hovertext[0]
    assert text.startswith("<b>dot product, τ = 0.05</b><br>dev mAP 0.4")
    assert [line.partition(":")[0] for line in text.split("<br>")[2:]] == [
        "seed 0",
        "seed 1",
        "seed 2",
    ]
    assert "[" in text


def test_one_seed_draws_points_without_intervals() -> None:
    figure = temperature(records.temperature_study(seeds=1))
    assert not traces(figure, "interval")
    assert "n = 1, no interval" in traces(figure, "means")[0].hovertext[0]


def test_a_search_draws_points_without_lines() -> None:
    assert {trace.mode for trace in traces(temperature(records.search_study()), "means")} == {
        "markers"
    }


def test_ours_and_the_papers_epsilon_look_different() -> None:
    info = epsilon_info(records.epsilon_study())
    assert isinstance(info, EpsilonInfo)
    ours, paper = draw_epsilon(info), draw_published_epsilon(info)
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
    assert ours.layout.yaxis3.range != paper.layout.yaxis3.range


def test_reference_levels_are_lines_at_their_means() -> None:
    info = epsilon_info(records.epsilon_study())
    assert isinstance(info, EpsilonInfo)
    lines = [shape for shape in draw_epsilon(info).layout.shapes if shape.type == "line"]
    assert [line.y0 for line in lines] == [
        level.interval.mean for panel in info.panels for level in panel.levels
    ]
    published = [shape.y0 for shape in draw_published_epsilon(info).layout.shapes]
    assert published == [0.970, 0.968, 0.905, 0.901, 0.268, 0.270]


def test_sampling_keeps_the_order_of_table_2() -> None:
    info = sampling_info(records.sampling_study())
    assert isinstance(info, SamplingInfo)
    for figure in (draw_sampling(info), draw_published_sampling(info)):
        assert list(figure.layout.xaxis3.categoryarray) == ["local", "cross", "exclusive"]
    assert list(traces(draw_published_sampling(info), "published")[0].y) == [0.906, 0.970, 0.994]


def test_ranking_has_a_row_per_cell_best_on_top() -> None:
    info = ranking_info(records.temperature_study((1.0, 0.05), 3))
    assert isinstance(info, RankingInfo)
    figure = draw_ranking(info)
    means = traces(figure, "means")
    assert [trace.y[0] for trace in means] == [0, 1, 2, 3]
    assert [trace.x[0] for trace in means] == [cell.metrics["dev_map"].mean for cell in info.cells]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]


def test_history_draws_every_trial_and_the_constant_answer() -> None:
    info = history(records.running_study())
    figure = draw_history(info.panels[1], info)
    assert len(traces(figure, "curve")) == 7
    assert [len(traces(figure, outcome)) for outcome in ("diverged", "running", "pruned")] == [
        1,
        1,
        0,
    ]
    assert figure.layout.shapes[0].y0 == pytest.approx(2 / 3)
    assert figure.layout.annotations[0].text == "constant answer with 2 negatives: 0.6667"


def test_collapsed_curves_look_flat() -> None:
    info = history(records.diverged_study())
    low, high = draw_history(info.panels[0], info).layout.yaxis.range
    assert high - low > 0.1


def test_each_cell_has_a_colour_and_a_key() -> None:
    info = history(records.temperature_study((1.0, 0.5, 0.2, 0.05), 2))
    colours = group_colours(info)
    assert len(set(colours.values())) == len(colours) == 8
    assert [label for _, label in history_key(info)] == [group.label for group in info.groups]


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
    figure = temperature(replace(record, metric=metric, trials=trials))
    expected = {"train_accuracy": "Train CPC accuracy", "dev_loss": "Dev loss"}[metric]
    assert figure.layout.annotations[0].text == expected
