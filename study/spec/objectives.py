"""Objectives of a study: one metric, or several that are traded off against each other."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Tag

from cpc_core.config import Section

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
