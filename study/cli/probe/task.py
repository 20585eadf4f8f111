"""Rows of `cpc probe` for a protocol, a task, folds and seeds of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.manifest import Split
from cpc_core.corpus.sample import cache_folder
from cpc_core.errors import ConfigError
from cpc_core.evaluation.clip_scores import by_recording
from cpc_core.probing.evaluate import TaskScores, evaluate
from cpc_core.probing.examples import Examples, examples_of
from cpc_core.probing.protocols import PROTOCOLS
from cpc_core.probing.task import (
    Partition,
    Task,
    fold_partitions,
    labelling,
    named_task,
    split_partition,
    tagging,
)
from dashboards.probe.page import ProbeResult
from study.analysis.statistics import t_interval
from study.cli.probe.contestants import Contestant

LABEL = "label"
"""Name of the task of the primary labels."""


@dataclass(frozen=True)
class TaskProbe:
    """Probe of a task of a corpus.

    Attributes:
        protocol: One of `PROTOCOLS`.
        task: Of the corpus, or `label`; None for all labels as tags.
        folds: True to cross-validate by the corpus's folds.
        split: The clips to score on, without folds.
        seeds: Number of seeds of the classifiers, whose scores are averaged.
    """

    protocol: str
    task: str | None = None
    folds: bool = False
    split: Split = "test"
    seeds: int = 1

    def __post_init__(self) -> None:
        if self.split == "dev" and not self.folds:
            raise ConfigError(
                f"the protocol {self.protocol} chooses its settings on the dev clips: score on "
                "--split test, or use --protocol study"
            )
        if self.seeds < 1:
            raise ConfigError(f"--seeds {self.seeds} must be at least 1")

    def scores(
        self, contestant: Contestant, corpus: Corpus, on_clips: Callable[[int], None]
    ) -> list[TaskScores]:
        """Scores of a contestant: one for each seed of its first weights and of classifiers.

        Raises:
            CorpusError: The corpus has no such task or folds, or nothing that can be scored.
        """
        found = []
        for features in contestant.features(corpus):
            examples = examples_of(features, corpus, cache_folder(), on_clips)
            task, partitions = self._problem(examples)
            found += [
                evaluate(examples, task, partitions, PROTOCOLS[self.protocol], seed)
                for seed in range(self.seeds)
            ]
        return found

    def _problem(self, examples: Examples) -> tuple[Task, list[Partition]]:
        if self.task is None:
            task = tagging(examples)
        elif self.task == LABEL and LABEL not in examples.clips["task"]:
            task = labelling(examples)
        else:
            task = named_task(examples, self.task)
        if self.folds:
            return task, fold_partitions(examples, task)
        return task, [split_partition(examples, task, self.split)]


def task_row(name: str, scores: Sequence[TaskScores]) -> dict[str, Any]:
    """Row of a contestant: means over its seeds, with intervals over recordings."""
    first = scores[0]
    row: dict[str, Any] = {"model": name}
    for metric in _columns(first):
        row[metric] = float(np.mean([each.values[metric] for each in scores]))
        if metric in first.by_clip:
            values = np.mean([each.by_clip[metric] for each in scores], axis=0)
            by_group = by_recording(first.groups, first.groups, {metric: values}).values[metric]
            interval = t_interval(by_group.tolist()).within(0.0, 1.0)
            row |= {f"{metric}_low": interval.low, f"{metric}_high": interval.high}
    values = [each.values[_columns(first)[0]] for each in scores]
    row["seed_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return row


def chance_of_task(scores: TaskScores) -> dict[str, Any]:
    """Row of answers that ignore the audio."""
    return {**dict.fromkeys(task_row("chance", [scores])), "model": "chance", **scores.chance}


def class_rows(name: str, scores: Sequence[TaskScores]) -> list[dict[str, Any]]:
    """A row for each class of a contestant: means over its seeds."""
    return [
        {
            "model": name,
            "class": each.name,
            "positives": each.positives,
            "average_precision": float(
                np.mean([of_seed.classes[place].average_precision for of_seed in scores])
            ),
            "auc": float(np.mean([of_seed.classes[place].auc for of_seed in scores])),
        }
        for place, each in enumerate(scores[0].classes)
    ]


def probe_result(
    probe: TaskProbe,
    corpus: str,
    scores: Mapping[str, Sequence[TaskScores]],
    rows: Sequence[Mapping[str, Any]],
) -> ProbeResult:
    """Content of a probe's page; the confusions are those of the first model's first seed."""
    first = next(iter(scores.values()))[0]
    names = [each.name for each in first.classes]
    task = {None: "All labels", LABEL: "Primary labels"}.get(probe.task, f"Task {probe.task}")
    return ProbeResult(
        corpus=corpus,
        task=task,
        protocol=probe.protocol,
        metrics=_columns(first),
        rows=rows,
        classes={name: class_rows(name, each) for name, each in scores.items()},
        confusion=None if first.confusion is None else (names, first.confusion.tolist()),
        notes=words(probe, first),
    )


def words(probe: TaskProbe, scores: TaskScores) -> list[str]:
    """Sentences on what was scored, and on what could not be."""
    where = f"{len(scores.chosen)} folds" if probe.folds else f"the {probe.split} split"
    lines = [
        f"{len(scores.groups)} clips of {len({*scores.groups})} recordings and "
        f"{len(scores.classes)} classes, {where}, protocol {probe.protocol} "
        f"({'; '.join(dict.fromkeys(scores.chosen))}), 95 % intervals over recordings"
    ]
    if scores.left_out:
        reasons = ", ".join(f"{name} ({why})" for name, why in sorted(scores.left_out.items()))
        lines.append(f"not scored: {reasons}")
    return lines


def _columns(scores: TaskScores) -> tuple[str, ...]:
    if "accuracy" in scores.values:
        return ("accuracy", "balanced_accuracy", "mAP")
    return ("mAP", "auc", "d_prime", "lwlrap")
