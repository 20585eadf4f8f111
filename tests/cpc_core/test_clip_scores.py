from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, average_precision_score, balanced_accuracy_score

from cpc_core.evaluation.clip_scores import (
    ClipScores,
    accuracy_values,
    average_precision_values,
    balanced_accuracy_values,
    by_recording,
    read_by_recording,
)
from cpc_core.storage_path import StoragePath

STEP = 1e-6


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=25).filter(
        lambda clips: any(positive for positive, _ in clips)
    )
)
def test_average_precision_by_clip_is_its_derivative(clips: list[tuple[bool, int]]) -> None:
    """Scikit-learn's average precision and its finite differences by each clip's weight."""
    target, scores = (np.array(column) for column in zip(*clips, strict=True))
    values = average_precision_values(target, scores.astype(np.float32))
    whole = average_precision_score(target, scores)
    assert values.mean() == pytest.approx(whole)
    for clip in range(len(clips)):
        weights = np.ones(len(clips))
        weights[clip] += STEP
        moved = average_precision_score(target, scores, sample_weight=weights)
        derivative = (values[clip] - whole) / len(clips)
        assert derivative == pytest.approx((moved - whole) / STEP, abs=1e-4)


def test_accuracies_by_clip_are_scikit_learns() -> None:
    truth = ["a", "a", "a", "b", "b", "c", "other"]
    predicted = ["a", "b", "a", "b", "a", "c", ""]
    asked = np.array([name != "other" for name in truth])
    correct = np.array([one == other for one, other in zip(truth, predicted, strict=True)])
    plain = accuracy_values(correct, asked)
    assert plain.mean() == pytest.approx(accuracy_score(truth[:6], predicted[:6]))
    classes = np.array([ord(name[0]) for name in truth])
    balanced = balanced_accuracy_values(correct, classes, asked)
    assert balanced.mean() == pytest.approx(balanced_accuracy_score(truth[:6], predicted[:6]))
    every = np.ones(4, dtype=bool)
    right = np.array([True, False, True, True])
    assert accuracy_values(right, every).tolist() == [1.0, 0.0, 1.0, 1.0]


def test_a_recording_counts_with_all_of_its_clips() -> None:
    found = by_recording(
        ["b", "a", "b", "c"], ["x", "", "y", "x"], {"m": np.array([1.0, 0.0, 1.0, 0.0])}
    )
    assert (found.recordings, found.classified) == (("a", "b", "c"), 3)
    # 0.5 + 3/4 · Σ (value − 0.5) over the recording's clips.
    assert found.values["m"].tolist() == [0.125, 1.25, 0.125]


def test_scores_survive_the_file(tmp_path: Path) -> None:
    scores = np.array([[0.5, -1.25], [2.0, 0.0], [1.0, 3.0]], dtype=np.float16)
    kept = ClipScores(
        clip_ids=np.array([7, -3, 2**62]),
        groups=("one", "two", "one"),
        labels=("bird", "rain"),
        scores=scores,
        predicted=("bird", "", "rain"),
        values={"dev_map": np.array([0.1, 0.7, 0.4])},
    )
    path = tmp_path / "probe.parquet"
    path.write_bytes(kept.to_parquet())
    found = read_by_recording(StoragePath.of(path))
    assert (found.recordings, found.classified) == (("one", "two"), 2)
    assert found.values["dev_map"].mean() == pytest.approx(0.4)
    table = pq.read_table(path)
    assert table.schema.metadata[b"labels"] == b"bird\nrain"
    assert table["clip_id"].to_pylist() == [7, -3, 2**62]
    assert table["scores"].to_pylist() == scores.tolist()
    assert table.schema.field("scores").type == pa.list_(pa.float16(), 2)
