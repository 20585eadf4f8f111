"""Figures and tables of many trials stay small, and lose no peak."""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plotly.io.json import to_json_plotly

from cpc_core.report import Report
from dashboards.drawing.marks import LABEL_LETTERS, shortened
from dashboards.drawing.thinning import thinned
from dashboards.figures import history
from dashboards.figures.history import HistoryInfo, draw_curves
from dashboards.study_page import PARTS, TRIALS
from dashboards.tables import pager
from study.results.records import StudyRecord
from tests.helpers import records

CELLS, SEEDS, REPORTS = 100, 5, 100


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(min_value=4, max_value=50)
)
def test_thinning_keeps_both_ends_and_both_extremes(values: list[float], most: int) -> None:
    kept = thinned(np.array(values), most)
    assert len(kept) <= most and (np.diff(kept) > 0).all()
    assert (kept[0], kept[-1]) == (0, len(values) - 1)
    shown = [values[place] for place in kept]
    assert (min(shown), max(shown)) == (min(values), max(values))
    if len(values) <= most:
        assert shown == values


@cache
def many() -> StudyRecord:
    """A grid of 500 trials with 100 reports each."""
    noise = random.Random(0)
    trials = []
    for number in range(CELLS * SEEDS):
        knobs = {"temperature": 0.01 * (1 + number // SEEDS), "similarity": "dot"}
        log = tuple(
            Report(
                step,
                {"train_accuracy": noise.random(), "dev_accuracy": noise.random()},
                elapsed_s=1.0,
            )
            for step in range(10, 10 * REPORTS + 1, 10)
        )
        metrics = {"dev_map": 0.5 + noise.gauss(0, 0.01)}
        trials.append(records.trial(number, knobs, number % SEEDS, metrics=metrics, history=log))
    return records.study(trials)


@pytest.mark.parametrize("name", [name for name in PARTS if name != TRIALS])
def test_a_part_of_a_large_study_is_small(name: str) -> None:
    """At 2 000 trials with 100 reports all of a page is to be below 3 MB."""
    assert len(to_json_plotly(PARTS[name](many()))) < 0.8e6


def test_curves_are_lines_of_a_few_traces_with_every_trial() -> None:
    info = history.FIGURE.info(many())
    assert isinstance(info, HistoryInfo)
    figure = draw_curves(info, "dev_accuracy")
    curves = [trace for trace in figure.data if trace.meta == "curve"]
    assert len(curves) == 1 + history.BEST_COLOURED
    assert sum(int(np.isnan(trace.y).sum()) for trace in curves) == CELLS * SEEDS
    drawn = set(np.concatenate([trace.y for trace in curves]).tolist())
    for curve in info.curves["dev_accuracy"]:
        ends = (curve.values.min(), curve.values.max(), curve.values[0], curve.values[-1])
        assert drawn.issuperset(np.array(ends, np.float32).tolist())


def test_pages_of_a_table() -> None:
    assert pager(100, slice(0, 100)) == []
    (nav,) = pager(230, slice(100, 200))
    before, text, after = nav.children
    assert (text.children, before.id["first"], after.id["first"]) == (
        "101 – 200 of 230 trials",
        0,
        200,
    )
    assert not (before.disabled or after.disabled)


def test_a_long_label_leaves_room_for_the_figure() -> None:
    text = "nonlinear cosine, τ = 0.05, FGSM, ε = −55 dB, Learning rate 0.0005"
    assert shortened("dot product") == "dot product"
    assert len(shortened(text)) <= LABEL_LETTERS
    assert shortened(text) == "nonlinear cosine, τ = 0.05, FGSM, ε…"
