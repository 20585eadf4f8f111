"""Classifiers on frozen features (section 3.2), as a measure of the representation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cpc_core.config import ProbeConfig
from cpc_core.corpus.corpus import Clips
from cpc_core.errors import CorpusError
from cpc_core.model.cpc_model import CpcModel

PROBE_CLIPS = 20_000
"""Largest number of training clips of a probe: all of them are in memory."""


@dataclass(frozen=True)
class ProbeScores:
    """Scores of the classifiers on held-out clips.

    Attributes:
        mean_average_precision: Macro mAP of the one-hidden-layer classifier over the labels that
            both sets have.
        accuracy: Accuracy of the linear classifier on the primary labels, chance being one over
            their number.
        balanced_accuracy: Mean over the labels of the linear classifier's accuracy.
        labels: Labels in the mAP.
        classes: Primary labels of the linear classifier.
        train_clips: Number of training clips.
        scored_clips: Number of held-out clips.
    """

    mean_average_precision: float
    accuracy: float
    balanced_accuracy: float
    labels: int
    classes: int
    train_clips: int
    scored_clips: int


def probe(
    model: CpcModel, train: Clips, held_out: Clips, config: ProbeConfig, seed: int = 0
) -> ProbeScores:
    """Trains both classifiers on features of `train` and scores them on `held_out`.

    Raises:
        CorpusError: The clips carry no label that both sets share.
    """
    inputs = clip_features(model, train.audio, config.features)
    held_out_inputs = clip_features(model, held_out.audio, config.features)
    centre, scale = inputs.mean(dim=0), inputs.std(dim=0).clamp_min(1e-6)
    inputs, held_out_inputs = (inputs - centre) / scale, (held_out_inputs - centre) / scale

    targets, held_out_targets = train.multi_hot(), held_out.multi_hot()
    shared = (targets.sum(dim=0) > 0) & (held_out_targets.sum(dim=0) > 0)
    if not shared.any():
        raise CorpusError(
            "training and held-out clips share no label: "
            "a probe needs labelled clips in both splits"
        )
    scores = _mlp_scores(inputs, targets[:, shared], held_out_inputs, config, seed)
    accuracy, balanced, classes = _linear_accuracy(
        inputs, train.labels, held_out_inputs, held_out.labels
    )
    return ProbeScores(
        mean_average_precision=mean_average_precision(held_out_targets[:, shared].numpy(), scores),
        accuracy=accuracy,
        balanced_accuracy=balanced,
        labels=int(shared.sum()),
        classes=classes,
        train_clips=len(train),
        scored_clips=len(held_out),
    )


def mean_average_precision(targets: NDArray[np.float32], scores: NDArray[np.float32]) -> float:
    """Macro mean over labels of the average precision.

    Args:
        targets: `[N, K]`, 1 where a clip carries a label; each label has at least one clip.
        scores: `[N, K]`, higher where the label is likelier.
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(targets, scores, average="macro"))


def _mlp_scores(
    inputs: Tensor, targets: Tensor, held_out: Tensor, config: ProbeConfig, seed: int
) -> NDArray[np.float32]:
    """Logits `[N, K]` of a one-hidden-layer network, trained by full-batch sigmoid losses."""
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Linear(inputs.shape[1], config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, targets.shape[1]),
        )
        optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
        for _ in range(config.steps):
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(network(inputs), targets).backward()
            optimizer.step()
    with torch.no_grad():
        scores: NDArray[np.float32] = network(held_out).numpy()
    return scores


def _linear_accuracy(
    inputs: Tensor, labels: tuple[str, ...], held_out: Tensor, held_out_labels: tuple[str, ...]
) -> tuple[float, float, int]:
    """Accuracy, balanced accuracy and number of classes of a logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, balanced_accuracy_score

    classes = sorted(set(labels) & set(held_out_labels) - {""})
    if len(classes) < 2:
        return float("nan"), float("nan"), len(classes)
    rows = [row for row, label in enumerate(labels) if label in classes]
    held_out_rows = [row for row, label in enumerate(held_out_labels) if label in classes]
    classifier = LogisticRegression(max_iter=2000).fit(
        inputs[rows].numpy(), [labels[row] for row in rows]
    )
    predicted = classifier.predict(held_out[held_out_rows].numpy())
    truth = [held_out_labels[row] for row in held_out_rows]
    return (
        float(accuracy_score(truth, predicted)),
        float(balanced_accuracy_score(truth, predicted)),
        len(classes),
    )


@torch.no_grad()
def clip_features(
    model: CpcModel, audio: Tensor, kind: Literal["context", "latent"], batch_size: int = 32
) -> Tensor:
    """Features of whole clips.

    Args:
        model: A trained model.
        audio: `[N, L]` in [-1, 1], 16 kHz.
        kind: `context`, both directions' contexts, D = 2·C_c; or `latent`, D = C.
        batch_size: Clips at a time.

    Returns:
        `[N, D]` float32 on the CPU.
    """
    device = next(model.parameters()).device
    parts = []
    for part in audio.split(batch_size):
        features = model(part.to(device))
        parts.append(
            (features.contexts if kind == "context" else features.latents).mean(dim=1).float().cpu()
        )
    return torch.cat(parts)
