from __future__ import annotations

import re

from study.analysis.published import TABLE_1, TABLE_2, TABLE_3
from tests.helpers.shared_data import shared_file


def test_values_are_those_of_the_summary() -> None:
    assert {
        row.epsilon_db: (row.train_accuracy, row.dev_accuracy, row.dev_map)
        for row in TABLE_1
        if row.adversary == "fgsm"
    } == {
        -75: (0.966, 0.895, 0.271),
        -65: (0.964, 0.890, 0.272),
        -55: (0.963, 0.886, 0.275),
        -45: (0.964, 0.876, 0.270),
        -35: (0.967, 0.865, 0.267),
    }
    assert {
        row.adversary: (row.train_accuracy, row.dev_accuracy, row.dev_map)
        for row in TABLE_1
        if row.epsilon_db is None
    } == {
        "none": (0.970, 0.905, 0.268),
        "gaussian": (0.968, 0.901, 0.270),
    }
    assert [
        (row.sampling, row.train_accuracy, row.dev_accuracy, row.dev_map, row.dcase2013_accuracy)
        for row in TABLE_2
    ] == [
        ("local", 0.906, 0.899, 0.267, 0.94),
        ("cross", 0.970, 0.905, 0.268, 0.95),
        ("exclusive", 0.994, 0.994, 0.240, 0.98),
    ]
    assert [row.test_map for row in TABLE_3] == [0.249, 0.285, 0.206, 0.226, 0.244, 0.267, 0.277]


def test_table_1_unaugmented_is_table_2_with_cross_sampling() -> None:
    none = next(row for row in TABLE_1 if row.adversary == "none")
    cross = next(row for row in TABLE_2 if row.sampling == "cross")
    assert (none.train_accuracy, none.dev_accuracy, none.dev_map) == (
        cross.train_accuracy,
        cross.dev_accuracy,
        cross.dev_map,
    )


def test_shapes_that_the_text_states() -> None:
    attacked = [row for row in TABLE_1 if row.adversary == "fgsm"]
    assert min(attacked, key=lambda row: row.train_accuracy).epsilon_db == -55
    assert max(TABLE_1, key=lambda row: row.dev_map).epsilon_db == -55
    assert [row.dev_accuracy for row in attacked] == sorted(
        (row.dev_accuracy for row in attacked), reverse=True
    )
    assert [row.train_accuracy for row in TABLE_2] == sorted(row.train_accuracy for row in TABLE_2)
    assert (
        max((row for row in TABLE_3 if not row.video), key=lambda row: row.test_map).train_input
        == "raw audio (+ adversarial noise)"
    )


def _printed_rows() -> list[list[float]]:
    """Numbers of the paper's tables, which are tab-separated in its text."""
    text = shared_file("paper/*.txt").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if "\t" in line]
    return [[float(value) for cell in row for value in re.findall(r"0\.\d+", cell)] for row in rows]


def test_every_value_is_printed_in_the_paper() -> None:
    printed = [row for row in _printed_rows() if row]
    ours: list[list[float]] = [
        [row.train_accuracy, row.dev_accuracy, row.dev_map] for row in TABLE_1
    ]
    ours += [
        [row.train_accuracy, row.dev_accuracy, row.dev_map, row.dcase2013_accuracy]
        for row in TABLE_2
    ]
    ours += [[row.test_map] for row in TABLE_3]
    assert ours == printed
