"""Tables in terminals of any width, and without one."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

from study.cli.tables import print_table

ROWS: list[dict[str, Any]] = [
    {
        "trial": number,
        "cell": "nonlinear_cosine, τ = 0.05",
        "seed": number,
        "train_ranking_accuracy": 0.6661,
        "dev_accuracy": 0.2615,
        "predicted_minutes": 12.5,
        "outcome": outcome,
    }
    for number, outcome in enumerate(
        ("complete", "diverged: the loss is that of the constant answer for three reports in a row")
    )
]


def printed(
    rows: list[dict[str, Any]],
    width: int | None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: width is not None)
    monkeypatch.setenv("COLUMNS", str(width or ""))
    print_table(rows)
    return re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)


@pytest.mark.parametrize("width", [200, 100, 80, 60, 40])
def test_no_number_and_no_word_is_broken(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = printed(ROWS, width, capsys, monkeypatch)
    assert max(map(len, text.splitlines())) <= width
    whole = set(re.findall(r"\S+", printed(ROWS, None, capsys, monkeypatch)))
    said = {"left", "out", "at", "this", "width:", "(-o", "csv", "has", "every", "column)"}
    for word in re.findall(r"\S+", text):
        assert word.rstrip(",:") in {each.rstrip(",:") for each in whole | said}, word


@pytest.mark.parametrize("width", [200, 80, 40])
def test_a_reason_is_there_at_every_width(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(printed(ROWS, width, capsys, monkeypatch).split())
    if width == 200:
        assert str(ROWS[1]["outcome"]) in text
    else:
        assert f"trial 1 outcome: {ROWS[1]['outcome']}" in text
        assert "trial 0 outcome" not in text


def test_columns_that_are_left_out_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(printed(ROWS, 40, capsys, monkeypatch).split())
    assert (
        "left out at this width: dev accuracy, predicted minutes (-o csv has every column)" in text
    )


def test_numbers_give_way_to_what_a_row_is_and_how_it_ended(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {f"dev_score_{number}": 0.25 for number in range(8)}
    rows = [{"trial": 0, "cell": "nonlinear_cosine, τ = 0.05", **scores, "outcome": "complete"}]
    text = printed(rows, 80, capsys, monkeypatch)
    assert re.search("nonlinear_cosine, τ = .* complete\n", text) and " outcome" in text
    assert "left out at this width: dev score 5, dev score 6, dev score 7" in text


def test_without_a_terminal_no_line_is_wrapped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"name": "a", "text": "word " * 100}]
    assert len(printed(rows, None, capsys, monkeypatch).splitlines()) == 2
