"""Interface of a protocol, and the score by which it chooses."""

from __future__ import annotations

import typing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Labelled:
    """N clips with their classes.

    Attributes:
        features: `[N, D]`.
        targets: `[N, K]`, true where a clip is of a class.
        single: True if each clip is of one class.
    """

    features: Floats
    targets: NDArray[np.bool_]
    single: bool


class Protocol(typing.Protocol):
    """Way of fitting classifiers; what it may choose it chooses on the dev clips alone."""

    def __call__(
        self, train: Labelled, dev: Labelled, test: Floats, seed: int
    ) -> tuple[NDArray[np.float64], str]:
        """Scores `[M, K]` of the test clips, higher where a class is likelier, and what was chosen.

        Args:
            train: Clips to fit on, with features of mean 0 and standard deviation 1.
            dev: Clips to choose by, transformed likewise.
            test: Features `[M, D]`, transformed likewise.
            seed: Of first weights and batches.
        """


def choice_score(clips: Labelled, scores: NDArray[np.floating]) -> float:
    """Accuracy where each clip is of one class, else mAP of the classes on some of the clips."""
    from sklearn.metrics import average_precision_score

    if clips.single:
        known = clips.targets.any(axis=1)
        return float(clips.targets[known, scores[known].argmax(axis=1)].mean())
    some = clips.targets.any(axis=0)
    return float(average_precision_score(clips.targets[:, some], scores[:, some]))
