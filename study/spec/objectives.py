"""Objectives of a study: one metric, or several that are traded off against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Tag

from cpc_core.config import Section
from cpc_core.errors import ConfigError

if TYPE_CHECKING:
    from cpc_core.corpus.corpus import Corpus

MEASURED_AT_EVERY_REPORT = ("dev_accuracy", "dev_ranking_accuracy", "dev_loss")
"""Metrics of every report, which a pruner can judge; those of the probe exist at the end only."""


class ObjectiveSpec(Section):
    """Metric to optimise, by which the best cell is chosen. A list of several searches for their
    Pareto front.

    Of several the first is the study's own metric, the one of its figures and claims.
    """

    metric: Literal[
        "dev_map", "dev_probe_accuracy", "dev_accuracy", "dev_ranking_accuracy", "dev_loss"
    ] = "dev_map"
    """`dev_map` is the mean average precision of the probe on held-out clips, the paper's dev
    mAP.
    """

    direction: Literal["maximize", "minimize"] = "maximize"
    """Direction of better values."""


def _several(objectives: tuple[ObjectiveSpec, ...]) -> tuple[ObjectiveSpec, ...]:
    metrics = [objective.metric for objective in objectives]
    if len(metrics) < 2:
        raise ValueError("a list needs two or more objectives: write a single one without the list")
    if len(set(metrics)) < len(metrics):
        raise ValueError(f"a metric is listed twice: {metrics}")
    return objectives


def _form(objective: Any) -> str:
    """Tag of the written form, so that an error is about that form alone."""
    return "<several>" if isinstance(objective, list | tuple) else "<one>"


# Pydantic puts the tags into the paths of its errors. No key of a spec has brackets.
OneOrSeveral = Annotated[
    Annotated[ObjectiveSpec, Tag("<one>")]
    | Annotated[tuple[ObjectiveSpec, ...], AfterValidator(_several), Tag("<several>")],
    Discriminator(_form),
]


def label_notice(corpus: Corpus) -> str:
    """Sentence on labels of a corpus that keep a probe from measuring; empty if none do."""
    task = corpus.probe_task("dev")
    if task == "none":
        return f"no probe: train and dev clips of {corpus.name} share no label"
    if task == "trivial":
        return (
            f"the probe tells nothing: all dev clips of {corpus.name} carry the labels that "
            "training clips have, so every model has a dev mAP of 1"
        )
    return ""


def require_labels(objectives: tuple[ObjectiveSpec, ...], corpus: Corpus) -> None:
    """Checks that a study on `corpus` can measure what it ranks by.

    Raises:
        ConfigError: An objective is a metric of the probe, and no probe can be scored.
    """
    unmeasured = [each.metric for each in objectives if each.metric not in MEASURED_AT_EVERY_REPORT]
    if unmeasured and corpus.probe_task("dev") == "none":
        raise ConfigError(
            f"objective.metric {unmeasured[0]} is of a probe, and train and dev clips of "
            f"{corpus.folder} share no label: set objective.metric to "
            f"{' or '.join(MEASURED_AT_EVERY_REPORT)}, or import labels"
        )
