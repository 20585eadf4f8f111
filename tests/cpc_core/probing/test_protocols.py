"""Protocols against oracles, and what they may look at."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from cpc_core.probing.protocols import PROTOCOLS, Labelled
from cpc_core.probing.protocols.base import choice_score
from cpc_core.probing.protocols.linear import logistic_weights
from cpc_core.probing.protocols.network import NetworkConfig, NetworkGrid


def _clips(seed: int, count: int, *, single: bool) -> Labelled:
    """Clips of four classes around means of their own, in eight dimensions."""
    draw, means = np.random.default_rng(seed), np.random.default_rng(7).normal(size=(4, 8))
    if single:
        targets = np.eye(4, dtype=bool)[draw.integers(4, size=count)]
    else:
        targets = draw.random((count, 4)) < 0.3
    features = 2 * targets.astype(float) @ means + draw.normal(size=(count, 8))
    return Labelled(features.astype(np.float32), targets, single)


FAST = {
    **PROTOCOLS,
    "paper": NetworkGrid([NetworkConfig(1, 32, 1e-2, 64, epochs=20, patience=3)]),
    "hear": NetworkGrid([NetworkConfig(2, 32, 1e-2, 64, dropout=0.1, batch_norm=True, epochs=20)]),
}


@pytest.mark.parametrize("strength", [1e-3, 1.0, 100.0])
def test_logistic_weights_are_those_of_scikit_learn(strength: float) -> None:
    tags = _clips(0, 200, single=False)
    found = logistic_weights(tags, strength).numpy()
    for label in range(tags.targets.shape[1]):
        oracle = LogisticRegression(C=strength, tol=1e-8, max_iter=5000)
        oracle.fit(tags.features.astype(np.float64), tags.targets[:, label])
        np.testing.assert_allclose(found[:-1, label], oracle.coef_[0], atol=2e-3)
        np.testing.assert_allclose(found[-1, label], oracle.intercept_[0], atol=2e-3)
    labels = _clips(0, 200, single=True)
    found = logistic_weights(labels, strength).numpy()
    oracle = LogisticRegression(C=strength, tol=1e-8, max_iter=5000)
    oracle.fit(labels.features.astype(np.float64), labels.targets.argmax(axis=1))
    np.testing.assert_allclose(found[:-1], oracle.coef_.T, atol=2e-3)


def test_a_single_neighbour_answers_as_scikit_learn_does() -> None:
    train, dev = _clips(0, 100, single=True), _clips(1, 3, single=True)
    test = _clips(2, 50, single=True)
    # On dev clips that are training clips, the clip itself is the best neighbour.
    scores, chosen = PROTOCOLS["knn"](train, train, test.features, 0)
    assert chosen == "k = 1"
    oracle = KNeighborsClassifier(1, metric="cosine").fit(
        train.features, train.targets.argmax(axis=1)
    )
    np.testing.assert_array_equal(scores.argmax(axis=1), oracle.predict(test.features))
    assert PROTOCOLS["knn"](train, dev, test.features, 0)[0].shape == (50, 4)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_learns_what_can_be_learnt(name: str, single: bool) -> None:
    train, dev, test = (_clips(seed, 150, single=single) for seed in (0, 1, 2))
    scores, _ = FAST[name](train, dev, test.features, 0)
    assert scores.shape == test.targets.shape and np.isfinite(scores).all()
    assert choice_score(test, scores) > 0.85


@pytest.mark.parametrize("name", PROTOCOLS)
def test_shuffled_test_labels_give_chance(name: str) -> None:
    train, dev, test = (_clips(seed, 400, single=True) for seed in (0, 1, 2))
    scores, _ = FAST[name](train, dev, test.features, 0)
    shuffled = test.targets[np.random.default_rng(3).permutation(400)]
    accuracy = choice_score(Labelled(test.features, shuffled, True), scores)
    assert abs(accuracy - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 400)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_dev_clips_choose_and_do_not_fit(name: str) -> None:
    """Wrong dev labels change at most what is chosen: the answers stay those of training clips."""
    train, dev, test = (_clips(seed, 150, single=True) for seed in (0, 1, 2))
    wrong = Labelled(dev.features, np.roll(dev.targets, 1, axis=1), True)
    scores, _ = FAST[name](train, wrong, test.features, 0)
    assert choice_score(test, scores) > 0.3


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_same_seed_gives_the_same_scores(name: str) -> None:
    train, dev, test = (_clips(seed, 60, single=False) for seed in (0, 1, 2))
    first, _ = FAST[name](train, dev, test.features, 5)
    again, _ = FAST[name](train, dev, test.features, 5)
    np.testing.assert_array_equal(first, again)
