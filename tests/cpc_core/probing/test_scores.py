"""Scores against scikit-learn and closed forms, on random, tied and degenerate answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    confusion_matrix,
    roc_auc_score,
)

from cpc_core.probing.scores import PartitionScores, d_prime, lwlrap, score_partition

Floats = NDArray[np.float64]


def _scored(targets: NDArray[np.bool_], scores: Floats, *, single: bool) -> PartitionScores:
    names = tuple(f"class {k}" for k in range(targets.shape[1]))
    return score_partition(names, targets, scores, targets, single=single, left_out={})


def _tags(kind: str) -> tuple[NDArray[np.bool_], Floats]:
    draw = np.random.default_rng(0)
    targets = draw.random((60, 5)) < 0.3
    scores = draw.normal(size=(60, 5)) + targets
    if kind == "tied":
        scores = np.round(scores)
    if kind == "constant":
        scores = np.zeros_like(scores)
    return targets, scores


@pytest.mark.parametrize("kind", ["random", "tied", "constant"])
def test_scores_of_tags_are_those_of_scikit_learn(kind: str) -> None:
    targets, scores = _tags(kind)
    found = _scored(targets, scores, single=False)
    assert found.values["mAP"] == pytest.approx(average_precision_score(targets, scores))
    assert found.values["auc"] == pytest.approx(roc_auc_score(targets, scores))
    for k, each in enumerate(found.classes):
        assert each.positives == targets[:, k].sum()
        oracle = average_precision_score(targets[:, k], scores[:, k])
        assert each.average_precision == pytest.approx(oracle)
    assert found.by_clip["mAP"].mean() == pytest.approx(found.values["mAP"])
    assert found.confusion is None


def test_scores_of_labels_are_those_of_scikit_learn() -> None:
    draw = np.random.default_rng(1)
    truth = np.concatenate((np.arange(3), draw.integers(3, size=50)))
    targets = np.eye(3, dtype=bool)[truth]
    scores = draw.normal(size=(53, 3)) + targets
    found = _scored(targets, scores, single=True)
    answers = scores.argmax(axis=1)
    assert found.values["accuracy"] == pytest.approx((truth == answers).mean())
    assert found.values["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(truth, answers)
    )
    np.testing.assert_array_equal(found.confusion, confusion_matrix(truth, answers))
    assert found.chance["accuracy"] == np.bincount(truth).max() / 53
    assert found.chance["balanced_accuracy"] == pytest.approx(1 / 3)


def test_lwlrap_counts_every_pair_of_clip_and_label_once() -> None:
    targets, scores = _tags("random")
    pairs = []
    for clip, label in zip(*np.nonzero(targets), strict=True):
        above = scores[clip] >= scores[clip, label]
        pairs.append(targets[clip, above].sum() / above.sum())
    assert lwlrap(targets, scores) == pytest.approx(np.mean(pairs))


def test_d_prime_is_the_distance_of_normal_distributions() -> None:
    assert d_prime(0.5) == 0
    draw = np.random.default_rng(2)
    targets = np.arange(200_000) % 2 == 0
    scores = draw.normal(size=200_000) + 1.5 * targets
    assert d_prime(roc_auc_score(targets, scores)) == pytest.approx(1.5, abs=0.02)
    assert d_prime(1.0) == math.inf and d_prime(0.0) == -math.inf
