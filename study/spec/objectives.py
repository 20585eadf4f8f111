"""What a study optimises: one metric, or several that are held against each other."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Tag

from cpc_core.config import Section

MEASURED_AT_EVERY_REPORT = ("dev_accuracy", "dev_loss")
"""Metrics that a pruner can judge by; those of the probe exist at the end only."""


class ObjectiveSpec(Section):
    """What a study optimises, and what decides which cell is best. A list of several searches for
    the front between them.

    Of several the first is the study's own metric, the one of its figures and claims.
    """

    metric: Literal["dev_map", "dev_probe_accuracy", "dev_accuracy", "dev_loss"] = "dev_map"
    """`dev_map` is the mean average precision of the probe on held-out clips, the paper's dev
    mAP.
    """

    direction: Literal["maximize", "minimize"] = "maximize"
    """Whether more of it is better."""


def _several(objectives: tuple[ObjectiveSpec, ...]) -> tuple[ObjectiveSpec, ...]:
    metrics = [objective.metric for objective in objectives]
    if len(metrics) < 2:
        raise ValueError("a list needs two or more objectives: write a single one without the list")
    if len(set(metrics)) < len(metrics):
        raise ValueError(f"a metric is listed twice: {metrics}")
    return objectives


def _form(objective: Any) -> str:
    """Chooses by the written form, so that an error speaks of that form alone."""
    return "<several>" if isinstance(objective, list | tuple) else "<one>"


# The brackets tell the tags, which pydantic puts into the paths of its errors, from anything a spec
# can contain.
OneOrSeveral = Annotated[
    Annotated[ObjectiveSpec, Tag("<one>")]
    | Annotated[tuple[ObjectiveSpec, ...], AfterValidator(_several), Tag("<several>")],
    Discriminator(_form),
]
