"""The page of a probe: what it says, and what it draws."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dashboards.probe.figures import draw_classes, draw_confusion
from dashboards.probe.page import ProbeResult, write_probe

CLASSES = [
    {"class": "dog", "positives": 5, "average_precision": 0.4},
    {"class": "rain", "positives": 7, "average_precision": 0.9},
]


def _row(model: str, value: float) -> dict[str, object]:
    return {
        "model": model,
        "accuracy": value,
        "accuracy_low": value - 0.05,
        "accuracy_high": value + 0.05,
    }


RESULT = ProbeResult(
    corpus="yard",
    task="Task animals",
    protocol="linear",
    metrics=("accuracy",),
    rows=[
        _row("mine", 0.7),
        _row("untrained", 0.5),
        _row("logmel", 0.72),
        {"model": "chance", "accuracy": 0.1, "accuracy_low": None, "accuracy_high": None},
    ],
    classes={"mine": CLASSES, "untrained": [{**CLASSES[0], "average_precision": 0.2}]},
    confusion=(["dog", "rain"], [[4, 1], [0, 7]]),
    notes=["not scored: cat (on no tested clip)"],
)


def test_the_headline_says_where_intervals_do_not_meet(tmp_path: Path) -> None:
    page = write_probe(RESULT, tmp_path / "new" / "probe.html").read_text(encoding="utf-8")
    assert "Accuracy 0.700, above untrained (0.500), not apart from logmel (0.720)." in page
    assert "Not scored: cat (on no tested clip)" in page
    assert "0.700 [0.650, 0.750]" in page and "https://" not in page.partition("<script>")[0]
    for section in ("scores", "classes", "confusions"):
        assert f'id="{section}"' in page


def test_tags_have_no_confusions(tmp_path: Path) -> None:
    page = write_probe(replace(RESULT, confusion=None), tmp_path / "probe.html")
    assert 'id="confusions"' not in page.read_text(encoding="utf-8")


def test_classes_are_drawn_from_best_to_worst_with_the_baseline() -> None:
    bars, marks = draw_classes(CLASSES, {"dog": 0.2}, "untrained").data
    assert (list(bars.y), list(bars.x)) == (["rain", "dog"], [0.9, 0.4])
    assert (list(marks.y), list(marks.x)) == (["dog"], [0.2])


def test_confusions_are_shares_of_each_class() -> None:
    figure = draw_confusion(["dog", "rain"], [[4, 1], [0, 7]])
    assert list(map(list, figure.data[0].z)) == [pytest.approx([0.8, 0.2]), [0, 1]]
    assert sorted(each.text for each in figure.layout.annotations) == ["1", "4", "7"]
