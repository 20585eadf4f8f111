from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plotly.subplots import make_subplots

from dashboards.drawing.marks import REACH, add_intervals, spread, tick_format, value_range
from dashboards.drawing.panels import Panel, Point, Series
from dashboards.drawing.theme import (
    COLOURS,
    FAINT,
    GLYPHS,
    INK,
    MUTED,
    PAPER_GREY,
    SYMBOLS,
    blended,
    faded,
    slots,
)
from search_spaces.fields import allowed_values
from study.analysis.statistics import Interval, t_interval


def panel(*seeds: list[float]) -> Panel:
    points = [
        Point(float(index), "", t_interval(values), dict(enumerate(values)))
        for index, values in enumerate(seeds)
    ]
    return Panel("dev_map", "dev mAP", (Series("", "", tuple(points), True),))


def traces(figure: go.Figure, meta: str) -> list[go.Scatter]:
    return [trace for trace in figure.data if trace.meta == meta]


def test_axis_contains_intervals_of_about_the_span_of_the_seeds() -> None:
    drawn = panel([0.40, 0.41, 0.42, 0.43, 0.44], [0.5, 0.51, 0.52, 0.53, 0.54])
    low, high = value_range(drawn)
    for point in drawn.points:
        assert point.interval.low is not None and point.interval.high is not None
        assert low < point.interval.low and point.interval.high < high


def test_axis_is_not_flattened_by_a_wide_interval() -> None:
    drawn = panel([0.40, 0.45], [0.5, 0.501])
    # Over few clips an interval is many times as wide as the spread of the seeds.
    wide = Interval(0.425, 0.1, 0.75, 3)
    first, second = drawn.points
    series = replace(drawn.series[0], points=(replace(first, interval=wide), second))
    low, high = value_range(replace(drawn, series=(series,)))
    assert high - low == pytest.approx(0.101 * (1 + 2 * REACH) * 1.14, rel=0.01)


def test_an_interval_beyond_the_axis_is_cut_and_says_so() -> None:
    figure = make_subplots(rows=1, cols=1)
    point = Point(0.0, "", Interval(0.5, 0.1, 0.55, 2))
    add_intervals(figure, 1, [0.0], [point], (0.4, 0.6), COLOURS[0])
    assert list(traces(figure, "interval")[0].y) == [0.4, 0.55, None]
    (arrow,) = traces(figure, "cut")
    assert arrow.marker.symbol == "triangle-down"


def test_no_interval_draws_no_bar() -> None:
    figure = make_subplots(rows=1, cols=1)
    point = Point(0.0, "", Interval(0.5, None, None, 1))
    add_intervals(figure, 1, [0.0], [point], (0.4, 0.6), COLOURS[0])
    assert not figure.data


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0.01, 0.3))
def test_labels_keep_their_order_and_distance(heights: list[float], gap: float) -> None:
    moved = spread(heights, gap)
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    steps = [moved[b] - moved[a] for a, b in pairwise(order)]
    assert all(step >= gap * 0.9 for step in steps)


def test_labels_with_room_stay_where_they_are() -> None:
    assert spread([0.9, 0.1, 0.5], 0.05) == [0.9, 0.1, 0.5]


def test_ticks_of_a_narrow_axis_have_three_decimals() -> None:
    assert (tick_format((0.962, 0.971)), tick_format((0.4, 0.5))) == (".3f", ".2f")


def _contrast_on_white(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)


@pytest.mark.parametrize(
    ("colour", "least"),
    [(INK, 7), (MUTED, 4.5), (PAPER_GREY, 3), *((colour, 2.9) for colour in COLOURS)],
)
def test_colours_can_be_read_on_white(colour: str, least: float) -> None:
    assert _contrast_on_white(colour) >= least


def test_colours_stay_with_what_the_paper_names() -> None:
    assert slots(["dot", "nonlinear_cosine"]) == slots(["nonlinear_cosine", "dot"])[::-1]
    assert slots(["dot"]) == [0]


def test_another_kind_takes_the_next_free_colour() -> None:
    assert slots(["another", "dot", "cosine", "one more"]) == [1, 0, 2, 3]
    assert slots([str(number) for number in range(len(COLOURS) + 2)])[-2:] == [0, 1]


@pytest.mark.parametrize("knob", ["adversary", "similarity"])
def test_kinds_shown_together_differ_in_colour_and_symbol(knob: str) -> None:
    kinds = allowed_values(knob)
    assert kinds is not None
    for codes in (COLOURS, SYMBOLS, GLYPHS):
        assert len({codes[slot] for slot in slots(kinds)}) == len(kinds)


def test_colour_arithmetic() -> None:
    assert faded("#0a0b0c", 0.5) == "rgba(10,11,12,0.5)"
    assert (blended("#000000", 0.0), blended("#000000", 1.0), blended(FAINT, 0.0)) == (
        "#000000",
        "#ffffff",
        FAINT,
    )
