from __future__ import annotations

import numpy as np
import pytest

from cpc_core.evaluation.probe import mean_average_precision


def average_precision(targets: list[int], scores: list[float]) -> float:
    """Mean over the positives of the precision at each, by counting down the ranking."""
    order = sorted(range(len(scores)), key=lambda row: -scores[row])
    hits, precisions = 0, []
    for rank, row in enumerate(order, start=1):
        if targets[row]:
            hits += 1
            precisions.append(hits / rank)
    return sum(precisions) / len(precisions)


def test_macro_map_against_counting() -> None:
    rng = np.random.default_rng(4)
    targets = (rng.random((30, 5)) < 0.3).astype(np.float32)
    targets[0] = 1
    scores = rng.standard_normal((30, 5)).astype(np.float32)
    expected = np.mean(
        [
            average_precision(targets[:, label].astype(int).tolist(), scores[:, label].tolist())
            for label in range(5)
        ]
    )
    assert mean_average_precision(targets, scores) == pytest.approx(float(expected))


def test_a_perfect_ranking_scores_one() -> None:
    targets = np.array([[1, 0], [1, 1], [0, 1]], dtype=np.float32)
    assert mean_average_precision(targets, targets) == 1.0
