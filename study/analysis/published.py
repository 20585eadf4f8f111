"""Values that the paper prints in Tables 1 to 3, digit for digit; none is measured here.

Wang, Kawakami, van den Oord, "Contrastive Predictive Coding of Audio with an Adversary",
Interspeech 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

SETTING = "AudioSet, 512 channels, 400 k steps"
"""Corpus and scale of Tables 1 and 2, larger than most studies: compare shapes, not levels."""

FIGURE_1 = "at τ = 1 the dot product is best; at τ = 0.05 the nonlinear cosine is best overall"
"""The text's statement on Figure 1 (temperature × similarity), which prints no number."""


@dataclass(frozen=True)
class AugmentationRow:
    """A row of Table 1: the effect of augmenting the training audio.

    Attributes:
        adversary: The augmentation, by its `kind` here.
        epsilon_db: FGSM magnitude in dB; None for the two references.
        train_accuracy: CPC accuracy on the augmented training data.
        dev_accuracy: CPC accuracy on the clean development set.
        dev_map: Probe mAP on AudioSet's development split.
    """

    adversary: Literal["none", "gaussian", "fgsm"]
    epsilon_db: float | None
    train_accuracy: float
    dev_accuracy: float
    dev_map: float


@dataclass(frozen=True)
class SamplingRow:
    """A row of Table 2: the source of negatives.

    Attributes:
        sampling: The strategy, as the spec names it.
        train_accuracy: CPC accuracy on the training data.
        dev_accuracy: CPC accuracy on the development set.
        dev_map: Probe mAP on AudioSet's development split.
        dcase2013_accuracy: Accuracy of a linear classifier on the 100 test clips of DCASE2013.
    """

    sampling: Literal["local", "cross", "exclusive"]
    train_accuracy: float
    dev_accuracy: float
    dev_map: float
    dcase2013_accuracy: float


@dataclass(frozen=True)
class SystemRow:
    """A row of Table 3: fixed representations on AudioSet's test split.

    Attributes:
        model: The system.
        train_input: Its training data.
        test_map: Test mAP of the shallow classifier.
        video: True if training used video.
    """

    model: str
    train_input: str
    test_map: float
    video: bool


def published_metrics(metrics: Sequence[str]) -> tuple[str, ...]:
    """Those of the metrics that Tables 1 and 2 print."""
    shared = AugmentationRow.__annotations__.keys() & SamplingRow.__annotations__.keys()
    return tuple(metric for metric in metrics if metric in shared)


TABLE_1 = (
    AugmentationRow("fgsm", -75.0, 0.966, 0.895, 0.271),
    AugmentationRow("fgsm", -65.0, 0.964, 0.890, 0.272),
    AugmentationRow("fgsm", -55.0, 0.963, 0.886, 0.275),
    AugmentationRow("fgsm", -45.0, 0.964, 0.876, 0.270),
    AugmentationRow("fgsm", -35.0, 0.967, 0.865, 0.267),
    AugmentationRow("none", None, 0.970, 0.905, 0.268),
    AugmentationRow("gaussian", None, 0.968, 0.901, 0.270),
)

TABLE_2 = (
    SamplingRow("local", 0.906, 0.899, 0.267, 0.94),
    SamplingRow("cross", 0.970, 0.905, 0.268, 0.95),
    SamplingRow("exclusive", 0.994, 0.994, 0.240, 0.98),
)

TABLE_3 = (
    SystemRow("L³ net", "spectrogram & video", 0.249, True),
    SystemRow("C³ net", "spectrogram & video", 0.285, True),
    SystemRow("C³ net", "spectrogram", 0.206, False),
    SystemRow("Triplet", "spectrogram", 0.226, False),
    SystemRow("Triplet", "spectrogram (+ augmentation)", 0.244, False),
    SystemRow("CPC", "raw audio", 0.267, False),
    SystemRow("CPC", "raw audio (+ adversarial noise)", 0.277, False),
)
