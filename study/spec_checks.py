"""What is wrong with a spec beyond its form: settings that do not exist, spaces that mean nothing, cells that cannot be trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import ValidationError

from cpc_core.config import CpcConfig
from search_spaces.knobs import resolve
from search_spaces.space import Sample, SearchSpace
from study.claims import Claim
from study.document import Document
from study.spec_problems import described, sentence


def base_problems(document: Document) -> list[str]:
    """Fields of the base configuration that do not exist or cannot have their value."""
    base = document.data.get("base")
    if not isinstance(base, Mapping):
        return []
    if "seed" in base:
        return [f"{document.place(('base', 'seed'))}: 'base.seed' is set per replicate: list it under 'seeds'"]
    try:
        CpcConfig.model_validate(base)
    except ValidationError as error:
        return described(error, document, CpcConfig, ("base",))
    return []


def space_problems(document: Document) -> list[str]:
    """Dimensions and claims that mean nothing. Parts of the wrong form are left to the whole spec's validation."""
    sampler = document.data.get("sampler", {"kind": "grid"})
    try:
        space = SearchSpace.model_validate(document.data.get("space", {}))
    except ValidationError:
        return []
    problems = list(space.problems(grid=isinstance(sampler, Mapping) and sampler.get("kind") == "grid"))
    found = [f"{document.place(('space', *path))}: {problem}" for path, problem in problems]
    return found or _claim_problems(document, space)


def _claim_problems(document: Document, space: SearchSpace) -> list[str]:
    claims = document.data.get("claims", ())
    problems = []
    for index, written in enumerate(claims if isinstance(claims, list) else ()):
        try:
            claim = Claim.model_validate(written)
        except ValidationError:
            continue
        problems += [f"{document.place(('claims', index, *path))}: {problem}" for path, problem in claim.problems(space)]
    return problems


def untrainable(document: Document, space: SearchSpace, config: Callable[[Sample, int], CpcConfig], seed: int) -> list[str]:
    """Problems of the configurations at the space's corners, at the knob that causes each.

    Args:
        document: Where the spec was written.
        space: Its space.
        config: Makes a trial's configuration of a sample and a seed.
        seed: Any of its seeds.
    """
    problems: dict[str, None] = {}
    for sample in space.corners():
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
    """The sampled knob that an error's location speaks of; pydantic puts the tags of choices between a path's parts."""
    for name in sample:
        section, _, field = resolve(name).rpartition(".")
        if location.startswith(section) and (location.endswith(field) or field == "kind") and location:
            return name
    return None
