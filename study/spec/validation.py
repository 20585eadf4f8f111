"""Validation of a spec beyond its form: unknown settings, contradictions, untrainable cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from pydantic import ValidationError

from cpc_core.config import Accuracy, CpcConfig
from search_spaces.fields import sections
from search_spaces.knobs import resolve
from search_spaces.samplers import AnySampler, Sampler
from search_spaces.space import Range, Sample, SearchSpace
from study.spec.claims import Claim
from study.spec.messages import sentence, validation_messages
from study.spec.yaml_document import Document

NO_CELL = (
    "no cell is like that: a one-at-a-time grid varies one knob from the first cell, so name at "
    "most one"
)


def base_problems(document: Document) -> list[str]:
    """Fields of the base configuration that do not exist or cannot have their value."""
    base = document.data.get("base")
    if not isinstance(base, Mapping):
        return []
    if "seed" in base:
        place = document.place(("base", "seed"))
        return [f"{place}: 'base.seed' is set per replicate: list it under 'seeds'"]
    try:
        CpcConfig.model_validate(base)
    except ValidationError as error:
        return validation_messages(error, document, CpcConfig, ("base",))
    return []


def space_problems(document: Document) -> list[str]:
    """Dimensions, samplers and claims that contradict the space.

    Parts of the wrong form are left to the validation of the whole spec.
    """
    try:
        space = SearchSpace.model_validate(document.data.get("space", {}))
    except ValidationError:
        return []
    sampler = _sampler(document.data.get("sampler", {"kind": "grid"}))
    ranges = sampler is None or sampler.takes_ranges
    found = [
        f"{document.place(('space', *path))}: {problem}"
        for path, problem in space.problems(ranges=ranges)
    ]
    if sampler is not None:
        found += _sampler_problems(document, space, sampler)
    return found or _claim_problems(document, space, sampler)


def _sampler(written: Any) -> Sampler | None:
    """Sampler of the written kind, its settings not validated; None if there is no such kind."""
    for kind in sections(AnySampler):
        default = kind.model_fields["kind"].default
        if isinstance(written, Mapping) and written.get("kind") == default:
            return cast(
                Sampler, kind.model_construct(**{str(key): written[key] for key in written})
            )
    return None


def _sampler_problems(document: Document, space: SearchSpace, sampler: Sampler) -> list[str]:
    """Samplers that work on ranges and have too few. A range with a condition counts as none: they
    draw it at random.
    """
    ranges = [
        name
        for name, dimension in space.root.items()
        if isinstance(dimension, Range) and not dimension.when.root
    ]
    if len(ranges) >= sampler.ranges_needed:
        return []
    have = f"only {', '.join(ranges)}" if ranges else "none"
    return [
        f"{document.place(('sampler', 'kind'))}: sampler {sampler.kind} works on "
        f"{sampler.ranges_needed} or more ranges without a condition, and the space has {have}: "
        "give knobs as ranges, or set sampler.kind to tpe"
    ]


def _claim_problems(document: Document, space: SearchSpace, sampler: Sampler | None) -> list[str]:
    """Claims that cannot be answered. In a one-at-a-time grid two values that are no one's first
    never meet.
    """
    one_at_a_time = sampler is not None and sampler.reference(space) is not None
    cells = sampler.cells(space) or [] if one_at_a_time and sampler else []
    claims = document.data.get("claims", ())
    problems = []
    for index, written in enumerate(claims if isinstance(claims, list) else ()):
        try:
            claim = Claim.model_validate(written)
        except ValidationError:
            continue
        if one_at_a_time:
            claim = claim.completed(space)
        found = list(claim.problems(space))
        if one_at_a_time and not found:
            sides = {"better": claim.better, "than": claim.than}
            found = [
                ((side,), NO_CELL)
                for side, selector in sides.items()
                if not any(map(selector.matches, cells))
            ]
        problems += [
            f"{document.place(('claims', index, *path))}: {problem}" for path, problem in found
        ]
    return problems


BINARY_METRICS = (
    "dev_accuracy",
    "dev_balanced_accuracy",
    "train_accuracy",
    "train_balanced_accuracy",
)
"""Metrics that mean nothing under InfoNCE, whose loss leaves the level of the logits open."""


def metric_problems(document: Document, accuracy: Accuracy) -> list[str]:
    """Objectives and claims whose metric means nothing under the losses of the study."""
    if accuracy == "accuracy":
        return []
    objective = document.data.get("objective", {})
    given: dict[tuple[str | int, ...], Any] = {("objective",): objective}
    if isinstance(objective, list):
        given = {("objective", index): each for index, each in enumerate(objective)}
    claims = document.data.get("claims", ())
    given |= {("claims", index): claim for index, claim in enumerate(claims)}
    return [
        f"{document.place((*path, 'metric'))}: {metric} means nothing under InfoNCE, whose loss "
        f"leaves the level of the logits open: take {metric.partition('_')[0]}_ranking_accuracy"
        for path, each in given.items()
        if (metric := each.get("metric")) in BINARY_METRICS
    ]


def cell_problems(
    document: Document,
    samples: Iterable[Sample],
    config: Callable[[Sample, int], CpcConfig],
    seed: int,
) -> list[str]:
    """Problems of configurations, at the knob that causes each.

    Args:
        document: The written spec.
        samples: Samples that it may train.
        config: Returns a trial's configuration for a sample and a seed.
        seed: Any of its seeds.
    """
    problems: dict[str, None] = {}
    for sample in samples:
        try:
            config(sample, seed)
        except ValidationError as error:
            for detail in error.errors():
                culprit = _culprit(sample, ".".join(str(part) for part in detail["loc"]))
                cell = {culprit: sample[culprit]} if culprit else sample
                setting = ", ".join(f"{name}={value}" for name, value in cell.items())
                place = document.place(("space", culprit) if culprit else ("space",))
                problems[f"{place}: {setting}: {sentence(detail)}"] = None
    return list(problems)


def _culprit(sample: Sample, location: str) -> str | None:
    """Sampled knob at an error's location; pydantic puts the tags of choices between its parts."""
    for name in sample:
        section, _, field = resolve(name).rpartition(".")
        if (
            location.startswith(section)
            and (location.endswith(field) or field == "kind")
            and location
        ):
            return name
    return None
