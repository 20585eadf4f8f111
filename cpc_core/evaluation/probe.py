"""Classifiers on frozen features (section 3.2), as a measure of the representation.

Clips are read, embedded and scored a batch at a time. Features, targets and scores are in temporary
files that are mapped into memory: a corpus of any size takes the same memory, and a few bytes for
each clip.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cpc_core.config import ProbeConfig
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.manifest import Split
from cpc_core.errors import CorpusError
from cpc_core.evaluation.clip_scores import (
    ClipScores,
    accuracy_values,
    average_precision_values,
    balanced_accuracy_values,
)
from cpc_core.evaluation.features import ClipFeatures

LEAST_POSITIVES = 5
"""Held-out clips that a label in the mAP is on: the average precision of fewer is mostly chance."""

LINEAR_LEARNING_RATE = 1e-2
"""Adam's learning rate for the linear classifier, whose loss is convex."""

LINEAR_PENALTY = 1.0
"""Factor of half the squared weights, beside the sum of the clips' losses: scikit-learn's C = 1."""


@dataclass(frozen=True)
class ProbeScores:
    """Scores of the classifiers on held-out clips.

    Attributes:
        mean_average_precision: Macro mAP of the one-hidden-layer classifier over the scored labels.
        accuracy: Accuracy of the linear classifier on the primary labels, chance being one over
            their number.
        balanced_accuracy: Mean over the labels of the linear classifier's accuracy.
        labels_scored: Labels in the mAP, see `scored_labels`.
        labels_left_out: Other labels of the held-out clips.
        classes: Primary labels of the linear classifier.
        train_clips: Number of training clips.
        scored_clips: Number of held-out clips.
        by_clip: Scores of each held-out clip.
        chance: Scores of answers that ignore the audio, by the names of `by_clip.values`: the mean
            share of positives, the share of the label that is commonest in training, and one over
            the classes.
    """

    mean_average_precision: float
    accuracy: float
    balanced_accuracy: float
    labels_scored: int
    labels_left_out: int
    classes: int
    train_clips: int
    scored_clips: int
    by_clip: ClipScores
    chance: Mapping[str, float]


def probe(
    features: ClipFeatures, corpus: Corpus, split: Split, config: ProbeConfig, seed: int = 0
) -> ProbeScores:
    """Trains both classifiers on a corpus's training clips and scores them on another split.

    Temporary files take 4·D + K bytes a clip for D features and K labels; `TMPDIR` names their
    folder.

    Args:
        features: Of a clip.
        corpus: Labelled clips.
        split: The clips to score on.
        config: The classifiers.
        seed: Of the classifiers' first weights and batches.

    Raises:
        CorpusError: A split has no clips, or both splits share no label.
    """
    if not corpus.manifest.label_names:
        raise CorpusError(f"the corpus {corpus.folder} has no labels: a probe needs labelled clips")
    with TemporaryDirectory(prefix="cpc-probe-") as name, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        folder = Path(name)
        train = _EmbeddedClips.write(features, corpus, "train", folder)
        held_out = _EmbeddedClips.write(features, corpus, split, folder)
        labels = scored_labels(train.targets, held_out.targets)
        if not labels:
            raise CorpusError(
                f"train and {split} clips of {corpus.folder} share no label: "
                "a probe needs labelled clips in both splits"
            )
        mlp = _fit_mlp(train, labels, config, features.device)
        scores = torch.from_file(
            str(folder / "scores"), shared=True, size=len(labels) * len(held_out)
        ).view(len(labels), -1)
        for rows, logits in _logits(mlp, held_out, config):
            scores[:, rows] = logits.T
        precisions = [
            average_precision(held_out.targets[:, label], score)
            for label, score in zip(labels, scores, strict=True)
        ]
        answers, classes = _linear_answers(train, held_out, config, features.device)
        accuracy, balanced = _accuracies(held_out.primary, answers)
        return ProbeScores(
            mean_average_precision=fmean(precisions),
            accuracy=accuracy,
            balanced_accuracy=balanced,
            labels_scored=len(labels),
            labels_left_out=int(_positives(held_out.targets).count_nonzero()) - len(labels),
            classes=classes,
            train_clips=len(train),
            scored_clips=len(held_out),
            by_clip=_by_clip(held_out, labels, scores, answers, corpus.manifest.label_names),
            chance={
                "dev_map": float(held_out.targets[:, labels].double().mean()),
                "dev_probe_accuracy": _commonest_share(train.primary, held_out.primary, answers),
                "dev_probe_balanced_accuracy": 1 / classes if classes else math.nan,
            },
        )


def _commonest_share(train: Tensor, truth: Tensor, answers: Tensor) -> float:
    """Share, among the clips that have an answer, of the label that is commonest in training."""
    asked = truth[answers >= 0]
    if not len(asked):
        return math.nan
    commonest = train[torch.isin(train, asked)].mode().values
    return float((asked == commonest).double().mean())


def scored_labels(train: Tensor, held_out: Tensor) -> list[int]:
    """Columns of the labels in the mAP: on training clips, and on enough held-out clips.

    Enough are `LEAST_POSITIVES`, or what the commonest label has where that is less. Labels on the
    same held-out clips count once, with the first of their columns.

    Args:
        train: `[N, K]`, 1 where a training clip carries a label and else 0.
        held_out: `[M, K]`, the same of held-out clips.
    """
    positives = torch.where(_positives(train) > 0, _positives(held_out), 0)
    least = max(1, min(LEAST_POSITIVES, int(positives.max())))
    first: dict[bytes, int] = {}
    for label in (positives >= least).nonzero().flatten().tolist():
        clips = held_out[:, label].numpy().tobytes()
        first.setdefault(hashlib.sha256(clips).digest(), label)
    return list(first.values())


def _positives(targets: Tensor) -> Tensor:
    """Clips of each label, `[K]` int64.

    In parts, because PyTorch converts what it sums into int64 first.
    """
    return torch.stack([part.sum(dim=0) for part in targets.split(4096)]).sum(dim=0)


def average_precision(targets: Tensor, scores: Tensor) -> float:
    """Mean of the precision at each positive, from the highest score down.

    Args:
        targets: `[M]`, 1 for the positives, of which there is at least one, and else 0.
        scores: `[M]`.
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(targets.numpy(), scores.numpy()))


@dataclass(frozen=True, eq=False)
class _EmbeddedClips:
    """Features and labels of a split, in files that are mapped into memory.

    Attributes:
        features: `[N, D]` float32.
        targets: `[N, K]` uint8, 1 where a clip carries a label of the corpus.
        primary: `[N]` int64, column of the primary label, −1 where a clip has none.
        clip_ids: `[N]` int64.
        groups: Recording of each clip.
    """

    features: Tensor
    targets: Tensor
    primary: Tensor
    clip_ids: Tensor
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.features)

    @classmethod
    def write(
        cls, embed: ClipFeatures, corpus: Corpus, split: Split, folder: Path
    ) -> _EmbeddedClips:
        """Embeds the clips of a split, and writes them into files of a folder."""
        column = {name: index for index, name in enumerate(corpus.manifest.label_names)}
        features, targets = folder / f"{split}.features", folder / f"{split}.targets"
        primary: list[int] = []
        clip_ids: list[Tensor] = []
        groups: list[str] = []
        with features.open("wb") as features_file, targets.open("wb") as targets_file:
            for clips in corpus.stream_split(split):
                embed(clips.audio, clips.num_samples).numpy().tofile(features_file)
                clips.multi_hot().byte().numpy().tofile(targets_file)
                primary += [column.get(label, -1) for label in clips.labels]
                clip_ids.append(clips.clip_ids)
                groups += clips.groups
        return cls(
            _mapped(features, torch.float32, len(primary)),
            _mapped(targets, torch.uint8, len(primary)),
            torch.tensor(primary),
            torch.cat(clip_ids),
            tuple(groups),
        )


def _mapped(file: Path, dtype: torch.dtype, rows: int) -> Tensor:
    """Content of a file as `[rows, …]`, read when it is used."""
    values = file.stat().st_size // dtype.itemsize
    return torch.from_file(str(file), size=values, dtype=dtype).view(rows, -1)


class _Standardise(nn.Module):
    """Features with the training clips' mean 0 and standard deviation 1."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", features.mean(dim=0))
        self.register_buffer("scale", features.std(dim=0).clamp_min(1e-6))

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.get_buffer("mean")) / self.get_buffer("scale")


def _fit_mlp(
    train: _EmbeddedClips, labels: list[int], config: ProbeConfig, device: torch.device
) -> nn.Module:
    """One-hidden-layer network, trained by the mean of sigmoid losses over clips and labels."""
    network = nn.Sequential(
        _Standardise(train.features),
        nn.Linear(train.features.shape[1], config.hidden),
        nn.ReLU(),
        nn.Linear(config.hidden, len(labels)),
    ).to(device)

    def loss(rows: Tensor) -> Tensor:
        logits = network(train.features[rows].to(device))
        targets = train.targets[rows][:, labels].to(logits)
        return nn.functional.binary_cross_entropy_with_logits(logits, targets)

    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    _fit(optimizer, loss, torch.arange(len(train)), config)
    return network


def _linear_answers(
    train: _EmbeddedClips, held_out: _EmbeddedClips, config: ProbeConfig, device: torch.device
) -> tuple[Tensor, int]:
    """Primary labels `[N]` by a penalised logistic regression, and the number of its classes.

    Clips whose primary label is not in both sets are left out, with −1 for an answer.
    """
    classes = sorted({*train.primary.tolist()} & {*held_out.primary.tolist()} - {-1})
    if len(classes) < 2:
        return torch.full_like(held_out.primary, -1), len(classes)
    column = torch.full((train.targets.shape[1] + 1,), -1)  # The last one is of no label, −1.
    column[classes] = torch.arange(len(classes))
    targets, truth = column[train.primary], column[held_out.primary]
    used = (targets >= 0).nonzero().flatten()

    linear = nn.Linear(train.features.shape[1], len(classes))
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    network = nn.Sequential(_Standardise(train.features), linear).to(device)

    def loss(rows: Tensor) -> Tensor:
        logits = network(train.features[rows].to(device))
        return nn.functional.cross_entropy(logits, targets[rows].to(device))

    groups: list[dict[str, Any]] = [
        {"params": [linear.weight], "weight_decay": LINEAR_PENALTY / len(used)},
        {"params": [linear.bias]},
    ]
    optimizer = torch.optim.Adam(groups, lr=LINEAR_LEARNING_RATE)
    _fit(optimizer, loss, used, config)
    outputs = torch.cat([logits.argmax(dim=1) for _, logits in _logits(network, held_out, config)])
    return torch.where(truth >= 0, torch.tensor(classes)[outputs], -1), len(classes)


def _accuracies(truth: Tensor, answers: Tensor) -> tuple[float, float]:
    """Accuracy and balanced accuracy of the clips that have an answer; NaN without any."""
    from sklearn.metrics import accuracy_score, balanced_accuracy_score

    scored = answers >= 0
    if not scored.any():
        return math.nan, math.nan
    both = truth[scored].numpy(), answers[scored].numpy()
    return float(accuracy_score(*both)), float(balanced_accuracy_score(*both))


def _by_clip(
    held_out: _EmbeddedClips,
    labels: list[int],
    scores: Tensor,
    answers: Tensor,
    names: Sequence[str],
) -> ClipScores:
    """Scores of the held-out clips, with what each contributes to the probe's metrics.

    Args:
        held_out: The clips.
        labels: Columns of the K labels that are scored.
        scores: `[K, N]`.
        answers: `[N]`, column of the linear classifier's label, or −1.
        names: The corpus's labels.
    """
    of_each_label = (
        average_precision_values(held_out.targets[:, label].numpy() == 1, score.numpy())
        for label, score in zip(labels, scores, strict=True)
    )
    values = {"dev_map": sum(of_each_label, np.zeros(len(held_out))) / len(labels)}
    asked, truth = (answers >= 0).numpy(), held_out.primary.numpy()
    if asked.any():
        correct = answers.numpy() == truth
        values["dev_probe_accuracy"] = accuracy_values(correct, asked)
        values["dev_probe_balanced_accuracy"] = balanced_accuracy_values(correct, truth, asked)
    return ClipScores(
        clip_ids=held_out.clip_ids.numpy(),
        groups=held_out.groups,
        labels=tuple(names[label] for label in labels),
        scores=scores.T.half().numpy(),
        predicted=tuple("" if answer < 0 else names[answer] for answer in answers.tolist()),
        values=values,
    )


def _fit(
    optimizer: torch.optim.Optimizer,
    loss: Callable[[Tensor], Tensor],
    rows: Tensor,
    config: ProbeConfig,
) -> None:
    """Trains on batches of `rows` `[N]`, every row once in each epoch.

    Args:
        optimizer: Of the classifier's parameters.
        loss: Mean loss of the clips in some rows.
        rows: The training clips.
        config: Batch size, and the numbers of steps and epochs that both have to be reached.
    """
    batches = math.ceil(len(rows) / config.batch_size)
    order = (
        batch
        for _ in itertools.count()
        for batch in torch.randperm(len(rows)).tensor_split(batches)
    )
    with torch.enable_grad():
        for batch in islice(order, max(config.steps, config.epochs * batches)):
            optimizer.zero_grad()
            loss(rows[batch]).backward()
            optimizer.step()


@torch.no_grad()
def _logits(
    network: nn.Module, clips: _EmbeddedClips, config: ProbeConfig
) -> Iterator[tuple[slice, Tensor]]:
    """Rows of each batch of clips, and the classifier's outputs for them, on the CPU."""
    device = next(network.parameters()).device
    for begin in range(0, len(clips), config.batch_size):
        rows = slice(begin, begin + config.batch_size)
        yield rows, network(clips.features[rows].to(device)).cpu()
