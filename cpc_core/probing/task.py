"""Tasks of a probe: classes to tell apart, and which clips train, choose and test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cpc_core.corpus.manifest import Split
from cpc_core.errors import CorpusError
from cpc_core.probing.examples import Examples

Rows = NDArray[np.int64]
"""Numbers of clips."""

LEAST_FOLDS = 3
"""Folds that a cross-validation needs: one to train on, one to choose by, one to test on."""


@dataclass(frozen=True, eq=False)
class Task:
    """Classification of some of a corpus's clips.

    Attributes:
        classes: The K classes, sorted.
        rows: The M clips that belong to it.
        targets: `[M, K]`, true where a clip is of a class.
        single: True if each clip is of one class, and is to be told which; else its classes are
            tags.
    """

    classes: tuple[str, ...]
    rows: Rows
    targets: NDArray[np.bool_]
    single: bool


@dataclass(frozen=True, eq=False)
class Partition:
    """Clips of a task by what they are for, as places in its `rows`.

    Attributes:
        train: Clips that fit the classifiers.
        dev: Clips by which settings are chosen.
        test: Clips that are scored.
    """

    train: Rows
    dev: Rows
    test: Rows


def tagging(examples: Examples) -> Task:
    """Task of all labels of all clips."""
    return _task(np.arange(len(examples)), examples.clips["labels"], single=False)


def labelling(examples: Examples) -> Task:
    """Task of the primary labels, of the clips that have one."""
    labels = examples.column("label")
    rows = np.flatnonzero(labels != "")
    return _task(rows, [[label] for label in labels[rows]], single=True)


def named_task(examples: Examples, name: str) -> Task:
    """Task of that name in a corpus with several: its clips, and their targets.

    Raises:
        CorpusError: There is none.
    """
    tasks, targets = examples.column("task"), examples.column("target")
    rows = np.flatnonzero(tasks == name)
    if not len(rows):
        known = ", ".join(sorted({*tasks.tolist()} - {""})) or "none: it has one task"
        raise CorpusError(f"the corpus has no task '{name}'; its tasks are {known}")
    values = targets if (targets[rows] != "").any() else examples.column("label")
    return _task(rows, [[value] for value in values[rows]], single=True)


def split_partition(examples: Examples, task: Task, test: Split) -> Partition:
    """Partition by the corpus's splits.

    Raises:
        CorpusError: A split has no clips of the task.
    """
    splits = examples.column("split")[task.rows]
    parts = [np.flatnonzero(splits == split) for split in ("train", "dev", test)]
    for split, part in zip(("train", "dev", test), parts, strict=True):
        if not len(part):
            raise CorpusError(f"the task has no {split} clips: name another split or task")
    return Partition(*parts)


def fold_partitions(examples: Examples, task: Task) -> list[Partition]:
    """Partitions of a cross-validation: each fold is tested once, and the next one chooses.

    Raises:
        CorpusError: The clips are in fewer than three folds, or some in none.
    """
    folds = examples.column("fold")[task.rows]
    names = sorted({*folds.tolist()})
    if "" in names or len(names) < LEAST_FOLDS:
        found = ", ".join(name or "none" for name in names)
        raise CorpusError(
            f"the folds of the clips are {found}: a cross-validation needs at least {LEAST_FOLDS}, "
            "and each clip in one of them; choose a --task that has folds, or leave out --folds"
        )
    partitions = []
    for place, name in enumerate(names):
        tested, choosing = folds == name, folds == names[(place + 1) % len(names)]
        partitions.append(
            Partition(*(np.flatnonzero(each) for each in (~tested & ~choosing, choosing, tested)))
        )
    return partitions


def scorable(task: Task, partition: Partition) -> tuple[list[int], dict[str, str]]:
    """Columns of the classes that can be scored, and why each other one cannot be.

    Tags on the same tested clips are scored once each: they are classes of their own.
    """
    columns, left_out = [], {}
    train, test = task.targets[partition.train], task.targets[partition.test]
    for column, name in enumerate(task.classes):
        if not test[:, column].any():
            left_out[name] = "on no tested clip"
        elif not train[:, column].any():
            left_out[name] = "on no training clip"
        elif test[:, column].all():
            left_out[name] = "on all tested clips"
        elif train[:, column].all():
            left_out[name] = "on all training clips"
        else:
            columns.append(column)
    return columns, left_out


def _task(rows: Rows, classes: Iterable[Sequence[str]], *, single: bool) -> Task:
    of_clips = [list(each) for each in classes]
    names = tuple(sorted({name for each in of_clips for name in each}))
    column = {name: place for place, name in enumerate(names)}
    targets = np.zeros((len(of_clips), len(names)), bool)
    for row, each in enumerate(of_clips):
        targets[row, [column[name] for name in each]] = True
    return Task(names, rows, targets, single)
