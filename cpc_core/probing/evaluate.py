"""A probe from features to scores: every partition, every seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cpc_core.errors import CorpusError
from cpc_core.probing.examples import Examples
from cpc_core.probing.protocols import Labelled, Protocol
from cpc_core.probing.scores import ClassScore, Floats, PartitionScores, score_partition
from cpc_core.probing.task import Partition, Rows, Task, scorable


@dataclass(frozen=True, eq=False)
class TaskScores:
    """Scores of a task over its partitions.

    Attributes:
        values: Metric → value: of folds the mean, each weighted by its clips.
        by_clip: Metric → pseudo-values of all tested clips.
        groups: Recording of each of them.
        classes: Scores of each class; of folds their means.
        left_out: Class → why it could not be scored, in some fold at least.
        chance: Metric → value of answers that ignore the audio.
        confusion: Clips of class i that were taken for class j; None of tags, and where folds have
            different classes.
        chosen: What the protocol chose in each partition.
    """

    values: Mapping[str, float]
    by_clip: Mapping[str, Floats]
    groups: tuple[str, ...]
    classes: tuple[ClassScore, ...]
    left_out: Mapping[str, str]
    chance: Mapping[str, float]
    confusion: Rows | None
    chosen: tuple[str, ...]


def evaluate(
    examples: Examples,
    task: Task,
    partitions: Sequence[Partition],
    protocol: Protocol,
    seed: int = 0,
) -> TaskScores:
    """Fits and chooses classifiers on each partition, and scores its tested clips once.

    Raises:
        CorpusError: A partition has no class that can be scored.
    """
    groups = examples.column("group")[task.rows]
    found = [_evaluate(examples, task, each, protocol, seed) for each in partitions]
    scores = [each for each, _, _ in found]
    clips = np.array([len(tested) for _, tested, _ in found], float)
    shares = clips / clips.sum()
    return TaskScores(
        values=_mean([each.values for each in scores], shares),
        by_clip={
            name: np.concatenate([each.by_clip[name] for each in scores])
            for name in scores[0].by_clip
        },
        groups=tuple(groups[np.concatenate([tested for _, tested, _ in found])].tolist()),
        classes=_mean_classes(scores),
        left_out={name: why for each in scores for name, why in each.left_out.items()},
        chance=_mean([each.chance for each in scores], shares),
        confusion=_confusion(scores),
        chosen=tuple(chosen for _, _, chosen in found),
    )


def _evaluate(
    examples: Examples, task: Task, partition: Partition, protocol: Protocol, seed: int
) -> tuple[PartitionScores, Rows, str]:
    columns, left_out = scorable(task, partition)
    if not columns:
        raise CorpusError("no class is both on training clips and on some of the tested ones")
    train, dev, test = (
        _of_classes(task, part, columns)
        for part in (partition.train, partition.dev, partition.test)
    )
    fitted = examples.features[task.rows[train]]
    mean, scale = fitted.mean(axis=0), np.maximum(fitted.std(axis=0), 1e-6)

    def labelled(rows: Rows) -> Labelled:
        features = (examples.features[task.rows[rows]] - mean) / scale
        return Labelled(features, task.targets[rows][:, columns], task.single)

    fit, held_out = labelled(train), labelled(test)
    scores, chosen = protocol(fit, labelled(dev), held_out.features, seed)
    names = tuple(task.classes[column] for column in columns)
    scored = score_partition(
        names, held_out.targets, scores, fit.targets, single=task.single, left_out=left_out
    )
    return scored, test, chosen


def _of_classes(task: Task, rows: Rows, columns: list[int]) -> Rows:
    """Clips of the scored classes, where each clip is of one; of tags all."""
    return rows[task.targets[rows][:, columns].any(axis=1)] if task.single else rows


def _mean(values: Sequence[Mapping[str, float]], shares: Floats) -> dict[str, float]:
    return {
        name: float(sum(share * each[name] for share, each in zip(shares, values, strict=True)))
        for name in values[0]
    }


def _mean_classes(scores: Sequence[PartitionScores]) -> tuple[ClassScore, ...]:
    of_name: dict[str, list[ClassScore]] = {}
    for each in scores:
        for found in each.classes:
            of_name.setdefault(found.name, []).append(found)
    return tuple(
        ClassScore(
            name,
            sum(each.positives for each in found),
            float(np.mean([each.average_precision for each in found])),
            float(np.mean([each.auc for each in found])),
        )
        for name, found in sorted(of_name.items())
    )


def _confusion(
    scores: Sequence[PartitionScores],
) -> Rows | None:
    classes = [tuple(found.name for found in each.classes) for each in scores]
    tables = [each.confusion for each in scores if each.confusion is not None]
    if not tables or len(set(classes)) > 1:
        return None
    return np.asarray(np.sum(tables, axis=0))
