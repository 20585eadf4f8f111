"""Scores of a task: of tags, and of single labels; with pseudo-values for intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from cpc_core.evaluation.clip_scores import (
    accuracy_values,
    average_precision_values,
    balanced_accuracy_values,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassScore:
    """Scores of one class against all others.

    Attributes:
        name: The class.
        positives: Tested clips of it.
        average_precision: Mean of the precision at each of them, from the highest score down.
        auc: Area under the ROC curve; 0.5 for answers that ignore the audio.
    """

    name: str
    positives: int
    average_precision: float
    auc: float


@dataclass(frozen=True, eq=False)
class PartitionScores:
    """Scores of a partition's M tested clips.

    Attributes:
        values: Metric → value. Of tags `mAP`, `auc`, `d_prime`, `lwlrap`; of single labels
            `accuracy` and `balanced_accuracy` too.
        by_clip: Metric → `[M]` pseudo-values, whose mean is the value and whose spread over
            recordings its uncertainty.
        classes: Scores of each class.
        left_out: Class → why it cannot be scored.
        chance: Metric → value of answers that ignore the audio.
        confusion: Clips of class i that were taken for class j, `[K, K]`; None of tags.
    """

    values: Mapping[str, float]
    by_clip: Mapping[str, Floats]
    classes: tuple[ClassScore, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    chance: Mapping[str, float] = field(default_factory=dict)
    confusion: NDArray[np.int64] | None = None


def score_partition(
    names: tuple[str, ...],
    targets: NDArray[np.bool_],
    scores: Floats,
    train_targets: NDArray[np.bool_],
    *,
    single: bool,
    left_out: Mapping[str, str],
) -> PartitionScores:
    """Scores of tested clips.

    Args:
        names: The K classes.
        targets: `[M, K]`; each class is on some tested clips, and not on all.
        scores: `[M, K]`.
        train_targets: `[N, K]`, by which answers that ignore the audio guess.
        single: True if each clip is of one class.
        left_out: Classes that were left out before, for the result.
    """
    from sklearn.metrics import roc_auc_score

    precisions = [average_precision_values(targets[:, k], scores[:, k]) for k in range(len(names))]
    classes = tuple(
        ClassScore(
            name,
            int(targets[:, k].sum()),
            float(precisions[k].mean()),
            float(roc_auc_score(targets[:, k], scores[:, k])),
        )
        for k, name in enumerate(names)
    )
    auc = float(np.mean([each.auc for each in classes]))
    values = {
        "mAP": float(np.mean([each.average_precision for each in classes])),
        "auc": auc,
        "d_prime": d_prime(auc),
        "lwlrap": lwlrap(targets, scores),
    }
    by_clip = {"mAP": np.mean(precisions, axis=0)}
    chance = {"mAP": float(targets.mean()), "auc": 0.5, "d_prime": 0.0}
    confusion = None
    if single:
        truth, answers = targets.argmax(axis=1), scores.argmax(axis=1)
        correct, asked = truth == answers, np.ones(len(truth), bool)
        by_clip["accuracy"] = accuracy_values(correct, asked)
        by_clip["balanced_accuracy"] = balanced_accuracy_values(correct, truth, asked)
        values |= {name: float(by_clip[name].mean()) for name in ("accuracy", "balanced_accuracy")}
        commonest = int(train_targets.sum(axis=0).argmax())
        chance["accuracy"] = float((truth == commonest).mean())
        chance["balanced_accuracy"] = 1 / len(names)
        confusion = np.zeros((len(names), len(names)), np.int64)
        np.add.at(confusion, (truth, answers), 1)
    return PartitionScores(values, by_clip, classes, left_out, chance, confusion)


def d_prime(auc: float) -> float:
    """Distance of two normal distributions, in standard deviations, that have that AUC (√2·Φ⁻¹)."""
    if not 0 < auc < 1:
        return math.copysign(math.inf, auc - 0.5)
    return math.sqrt(2) * NormalDist().inv_cdf(auc)


def lwlrap(targets: NDArray[np.bool_], scores: Floats) -> float:
    """Label-weighted label-ranking average precision (Fonseca et al. 2019).

    Mean over all pairs of a clip and a label of it: the share of the clip's labels among those that
    score at least as high as that label. Every pair counts the same.
    """
    from sklearn.metrics import label_ranking_average_precision_score

    labels = targets.sum(axis=1)
    return float(label_ranking_average_precision_score(targets, scores, sample_weight=labels))
