"""The study specification: what is asked, in one YAML file, checked in full before anything starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from cpc_core.config import CpcConfig, Section
from cpc_core.errors import ConfigError
from search_spaces.fields import nearest
from search_spaces.knobs import resolve
from search_spaces.space import Sample, SearchSpace, apply
from study.document import Document, parse
from study.spec_problems import described, sentence

MEASURED_AT_EVERY_REPORT = ("dev_accuracy", "dev_loss")
"""Metrics that a pruner can judge by; those of the probe exist at the end only."""


class Objective(Section):
    """What a study optimises, and what decides which cell is best."""

    metric: Literal["dev_map", "dev_probe_accuracy", "dev_accuracy", "dev_loss"] = "dev_map"
    """`dev_map` is the mean average precision of the probe on held-out clips, the paper's dev mAP."""

    direction: Literal["maximize", "minimize"] = "maximize"
    """Whether more of it is better."""


class GridSampler(Section):
    """Every cell of the space once per seed."""

    kind: Literal["grid"] = "grid"


class RandomSampler(Section):
    """Independent uniform draws."""

    kind: Literal["random"] = "random"

    trials: int = Field(ge=1)
    """Points to draw; each is trained once per seed."""


class TpeSampler(Section):
    """Optuna's tree-structured Parzen estimator: multivariate, grouped over conditional knobs, constant liar."""

    kind: Literal["tpe"] = "tpe"

    trials: int = Field(ge=1)
    """Points to propose; each is trained once per seed."""

    startup_trials: int = Field(default=8, ge=1)
    """Random points before the model is used."""


Sampler = Annotated[GridSampler | RandomSampler | TpeSampler, Field(discriminator="kind")]


class NoPruner(Section):
    """Every trial runs to its end."""

    kind: Literal["none"] = "none"


class MedianPruner(Section):
    """Stops a trial whose report is worse than the median of the earlier trials at the same step."""

    kind: Literal["median"] = "median"

    startup_trials: int = Field(default=4, ge=1)
    """Trials that must have ended before any is stopped."""

    warmup_steps: int = Field(default=0, ge=0)
    """Optimizer steps during which no trial is stopped."""


class HalvingPruner(Section):
    """Asynchronous successive halving (ASHA): at each rung the best 1/reduction of the trials go on."""

    kind: Literal["asha"] = "asha"

    first_rung: int = Field(ge=1)
    """Optimizer steps at the first rung; each next one is `reduction` times as far."""

    reduction: int = Field(default=3, ge=2)
    """Share of trials that each rung stops, as its inverse."""


Pruner = Annotated[NoPruner | MedianPruner | HalvingPruner, Field(discriminator="kind")]


class Resources(Section):
    """How the study runs. Never part of a hash: the same study elsewhere is the same study."""

    concurrent_trials: int = Field(default=2, ge=1)
    """Trials trained at the same time."""

    workers: int = Field(default=1, ge=1)
    """Ray Train workers of one trial; each takes its share of the batch."""

    cpus_per_worker: float = Field(default=0.5, gt=0)
    """CPUs a worker reserves. The defaults fit two trials and the data stream on 2 CPUs."""

    gpus_per_worker: float = Field(default=0, ge=0)
    """GPUs a worker reserves."""

    max_failures: int = Field(default=2, ge=0)
    """How often a crashed trial is taken up again from its last checkpoint before it counts as failed."""


class StudySpec(Section):
    """One study: a question, a base configuration, a space, seeds, and how to search it."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    """Lower-case letters, digits, `_` and `-`; names the study's folder."""

    question: str = ""
    """The question that the study answers, in one sentence."""

    corpus: str = "sample"
    """`sample` for the bundled audio, or the folder or URI of an imported corpus."""

    base: dict[str, Any] = Field(default={})
    """Fields of the trial configuration that differ from the paper's, by section."""

    space: SearchSpace = SearchSpace({})
    """What varies: knob → values or range."""

    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0,), min_length=1)
    """One replicate per seed for every cell. Cells share seeds, so that differences can be paired."""

    objective: Objective = Objective()
    sampler: Sampler = GridSampler()
    pruner: Pruner = NoPruner()
    resources: Resources = Resources()

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"a seed is listed twice: {list(seeds)}")
        return seeds

    @model_validator(mode="after")
    def _prunable(self) -> StudySpec:
        if self.pruner.kind != "none" and self.objective.metric not in MEASURED_AT_EVERY_REPORT:
            raise ValueError(
                f"pruner {self.pruner.kind} judges a trial before its end, but {self.objective.metric} is measured at the end only: "
                f"set objective.metric to {' or '.join(MEASURED_AT_EVERY_REPORT)}, or pruner.kind to none"
            )
        return self

    def config(self, sample: Sample, seed: int) -> CpcConfig:
        """The configuration of one trial."""
        return apply(self.base, sample, seed)

    @property
    def planned_trials(self) -> int:
        """Cells (or points to propose) times seeds."""
        points = len(self.space.grid()) if isinstance(self.sampler, GridSampler) else self.sampler.trials
        return points * len(self.seeds)

    @property
    def hash(self) -> str:
        """Twelve hex digits over everything but `resources`, and `corpus`, which counts by its content and not by its place."""
        content = json.dumps(self.model_dump(mode="json", exclude={"resources", "corpus"}), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def to_yaml(self) -> str:
        """The resolved spec as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def _untrainable(self, document: Document) -> list[str]:
        """Problems of the configurations at the space's corners, at the knob that causes each."""
        problems: dict[str, None] = {}
        for sample in self.space.corners():
            try:
                self.config(sample, self.seeds[0])
            except ValidationError as error:
                for detail in error.errors():
                    culprit = _culprit(sample, ".".join(str(part) for part in detail["loc"]))
                    cell = {culprit: sample[culprit]} if culprit else sample
                    setting = ", ".join(f"{name}={value}" for name, value in cell.items())
                    place = document.place(("space", culprit) if culprit else ("space",))
                    problems[f"{place}: {setting}: {sentence(detail)}"] = None
        return list(problems)

    @classmethod
    def load(cls, source: str, overrides: list[str] | None = None) -> StudySpec:
        """Reads a spec file, or the preset of that name, and checks everything it asks for.

        Args:
            source: Path of a YAML file, or the name of a shipped preset.
            overrides: `a.b=value` assignments that win over the file.

        Raises:
            SpecError: With every problem found, each with its line.
            ConfigError: There is no such file or preset, or it is no YAML.
        """
        document = parse(*_source_text(source)).with_overrides(overrides or [])
        problems = _base_problems(document)
        try:
            spec = cls.model_validate(document.data)
        except ValidationError as error:
            problems = [*described(error, document, cls), *problems, *_space_problems(document)]
        else:
            problems = problems or _space_problems(document) or spec._untrainable(document)
            if not problems:
                if spec.corpus == "sample" or "://" in spec.corpus:
                    return spec
                return spec.model_copy(update={"corpus": str(Path(spec.corpus).absolute())})
        raise SpecError(document.name, sorted(problems, key=_line))


class SpecError(ConfigError):
    """A specification with problems, all of them listed.

    Attributes:
        problems: One sentence each, beginning with its place.
    """

    def __init__(self, name: str, problems: list[str]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"{name} has {count}; nothing was started:", *(f"  {problem}" for problem in problems)]))
        self.name, self.problems = name, problems

    def __reduce__(self) -> tuple[type[SpecError], tuple[str, list[str]]]:
        return type(self), (self.name, self.problems)


def preset_names() -> list[str]:
    """Names of the shipped specs."""
    return sorted(entry.name.removesuffix(".yaml") for entry in resources.files("study").joinpath("presets").iterdir())


def _source_text(source: str) -> tuple[str, str]:
    path = Path(source)
    if path.is_file():
        return path.read_text(encoding="utf-8"), path.name
    if source in preset_names():
        return resources.files("study").joinpath("presets", f"{source}.yaml").read_text(encoding="utf-8"), f"{source}.yaml"
    raise ConfigError(f"there is no spec file or preset '{source}'{nearest(source, preset_names())}")


def _base_problems(document: Document) -> list[str]:
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


def _space_problems(document: Document) -> list[str]:
    """Dimensions that mean nothing. A space of the wrong form is left to the whole spec's validation."""
    sampler = document.data.get("sampler", {"kind": "grid"})
    try:
        space = SearchSpace.model_validate(document.data.get("space", {}))
    except ValidationError:
        return []
    problems = space.problems(grid=isinstance(sampler, Mapping) and sampler.get("kind") == "grid")
    return [f"{document.place(('space', *path))}: {problem}" for path, problem in problems]


def _line(problem: str) -> tuple[int, str]:
    """Sorts problems by the line they name; those of `--set` come first."""
    number = problem.partition(": ")[0].rpartition(":")[2]
    return (int(number) if number.isdigit() else 0, problem)


def _culprit(sample: Sample, location: str) -> str | None:
    """The sampled knob that an error's location speaks of; pydantic puts the tags of choices between a path's parts."""
    for name in sample:
        section, _, field = resolve(name).rpartition(".")
        if location.startswith(section) and (location.endswith(field) or field == "kind") and location:
            return name
    return None
