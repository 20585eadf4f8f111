"""Specification of a study: one YAML file, validated in full before a study starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from cpc_core.config import Accuracy, CpcConfig, Section, TrainingConfig
from search_spaces.first_weights import (
    StartingModel,
    recorded,
    require_models,
    starting_models,
)
from search_spaces.knobs import resolve
from search_spaces.pruners import AnyPruner, NoPruner
from search_spaces.samplers import AnySampler, GridSampler
from search_spaces.space import Sample, SearchSpace, Value, Values, apply
from study.spec.budget import Budget
from study.spec.claims import Claim
from study.spec.messages import SpecError, line, validation_messages
from study.spec.objectives import MEASURED_AT_EVERY_REPORT, ObjectiveSpec, OneOrSeveral
from study.spec.presets import source_text
from study.spec.resources import Resources
from study.spec.stores import check_store
from study.spec.validation import base_problems, cell_problems, metric_problems, space_problems
from study.spec.yaml_document import dump, parse


class StudySpec(Section):
    """One study: a question, a base configuration, a space, seeds, a sampler and a pruner."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    """Lower-case letters, digits, `_` and `-`; names the study's folder."""

    question: str = ""
    """The question that the study answers, in one sentence."""

    corpus: str = Field(default="sample", min_length=1)
    """`sample` for the bundled audio, or the folder or URI of an imported corpus."""

    base: dict[str, Any] = Field(default={})
    """Fields of the trial configuration that differ from the paper's, by section."""

    space: SearchSpace = SearchSpace({})
    """Search space: knob → values or range."""

    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0,), min_length=1)
    """One replicate per seed for every cell. Cells share seeds, so that differences can be
    paired.
    """

    claims: tuple[Claim, ...] = ()
    """Claims to test; `cpc study show` and the report answer each. They change no trial and can be
    added later.
    """

    readings: tuple[str, ...] = ()
    """Sentences that say which of the settings are the paper's, and which are readings of it.
    `cpc study plan` prints them; they change no trial.
    """

    scales: dict[str, dict[str, Any]] = Field(default={})
    """Settings for the same question at another size, which replace the common ones. `--scale NAME`
    chooses a scale; without it the first is taken. Empty once the file has been read.
    """

    models: dict[str, StartingModel] = Field(default={}, exclude_if=lambda models: not models)
    """The exports that `initialisation.model` names, with their hashes. Filled in when the file is
    read, and kept with the study: it goes on with these weights or not at all.
    """

    objective: OneOrSeveral = ObjectiveSpec()
    sampler: AnySampler = GridSampler()
    pruner: AnyPruner = NoPruner()
    budget: Budget = Budget()
    resources: Resources = Resources()

    store: str | None = None
    """Storage backend of the trials: `postgresql://user@host:5432/database`, or null for a journal
    in the study folder. A database serves drivers on many machines at the same time, each started
    by `cpc study run` or `resume` on a folder that all of them can read; a journal serves one. The
    URL has no password: set `PGPASSWORD`, or list it in `~/.pgpass`. It cannot be changed later,
    but `spec.yaml` in the study folder may be edited where the database has moved.
    """

    @field_validator("base")
    @classmethod
    def _by_its_fields(cls, base: dict[str, Any]) -> dict[str, Any]:
        """Values as their fields read them, so that `8`, `8.0` and `"8"` are one spec."""
        try:
            read = CpcConfig.model_validate(base).model_dump(mode="json")
        except ValidationError:
            return base  # What is wrong in it is found with its lines.
        return cast(dict[str, Any], _as_read(base, read))

    @field_validator("store")
    @classmethod
    def _has_backend(cls, store: str | None) -> str | None:
        return None if store is None else check_store(store)

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"a seed is listed twice: {list(seeds)}")
        return seeds

    @field_validator("sampler")
    @classmethod
    def _fits_objectives(cls, sampler: AnySampler, info: ValidationInfo) -> AnySampler:
        if not sampler.several_objectives and isinstance(info.data.get("objective"), tuple):
            raise ValueError(
                f"sampler {sampler.kind} works towards one objective, and the study has several: "
                "give one, or set sampler.kind to tpe"
            )
        return sampler

    @field_validator("pruner")
    @classmethod
    def _can_judge(cls, pruner: AnyPruner, info: ValidationInfo) -> AnyPruner:
        objective = info.data.get("objective")
        if pruner.judges is None or objective is None:
            return pruner
        if isinstance(objective, tuple):
            raise ValueError(
                f"pruner {pruner.kind} judges by one objective, and the study has several: give "
                "one, or set pruner.kind to none"
            )
        if pruner.judges == "reports" and objective.metric not in MEASURED_AT_EVERY_REPORT:
            raise ValueError(
                f"pruner {pruner.kind} judges a trial before its end, but {objective.metric} is "
                "measured at the end only: set objective.metric to "
                f"{' or '.join(MEASURED_AT_EVERY_REPORT)}, or pruner.kind to none"
            )
        return pruner

    @property
    def objectives(self) -> tuple[ObjectiveSpec, ...]:
        """Metrics to optimise; the first is the study's own."""
        return (self.objective,) if isinstance(self.objective, ObjectiveSpec) else self.objective

    def config(self, sample: Sample, seed: int) -> CpcConfig:
        """Configuration of one trial."""
        return recorded(apply(self.base, sample, seed), self.models)

    def require_models(self) -> None:
        """Checks that the exports that its trials start from are those that were recorded.

        Raises:
            CheckpointError: One is missing or damaged.
            ConfigError: One has other weights.
        """
        require_models(self.config(sample, self.seeds[0]) for sample in self.probe_samples)

    @property
    def cells(self) -> list[dict[str, Value]] | None:
        """Samples of a grid; None where a sampler proposes them."""
        return self.sampler.cells(self.space)

    @property
    def reference(self) -> Sample | None:
        """First cell of a one-at-a-time grid, which the others differ from in one knob; or None."""
        return self.sampler.reference(self.space)

    @property
    def completed_claims(self) -> tuple[Claim, ...]:
        """Claims with the values that may be left out in a one-at-a-time grid."""
        return (
            self.claims
            if self.reference is None
            else tuple(claim.completed(self.space) for claim in self.claims)
        )

    @property
    def probe_samples(self) -> Iterable[Sample]:
        """Samples to validate and to plan by: the cells, or the corners of a space to search."""
        cells = self.cells
        return self.space.corners() if cells is None else cells

    @property
    def accuracy(self) -> Accuracy:
        """CPC accuracy that its trials share: where one may train InfoNCE, the ranking accuracy."""
        objective = self.base.get("objective", {})
        values = [
            each for name, each in self.space.root.items() if resolve(name) == "objective.loss"
        ]
        losses = {loss for each in values if isinstance(each, Values) for loss in each.values}
        return "ranking_accuracy" if "infonce" in {*losses, objective.get("loss")} else "accuracy"

    @property
    def longest(self) -> int:
        """Optimizer steps of its longest trial."""
        steps = self.base.get("training", {}).get("steps", TrainingConfig().steps)
        samples = (
            {resolve(name): value for name, value in each.items()} for each in self.probe_samples
        )
        return max(int(sample.get("training.steps") or steps) for sample in samples)

    @property
    def points(self) -> int:
        """Configurations, those of a search as many as it proposes."""
        return self.sampler.points(self.space)

    @property
    def planned_trials(self) -> int:
        """Configurations times seeds."""
        return self.points * len(self.seeds)

    @property
    def hash(self) -> str:
        """Twelve hex digits over the settings that change results.

        `resources`, `store`, `budget`, `claims`, `readings` and `scales` do not, nor does the place
        of the corpus, which counts by its content.
        """
        unhashed = {"resources", "store", "budget", "claims", "readings", "scales", "corpus"}
        settings = self.model_dump(mode="json", exclude=unhashed)
        for model in settings.get("models", {}).values():
            del model["place"]
        content = json.dumps(settings, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def to_yaml(self) -> str:
        """Resolved spec as YAML."""
        return dump(self.model_dump(mode="json", exclude={"scales"}))

    @classmethod
    def load(
        cls, source: str, overrides: list[str] | None = None, scale: str | None = None
    ) -> StudySpec:
        """Reads a spec file, or the preset of that name, and validates it in full.

        Args:
            source: Path of a YAML file, or the name of a shipped preset.
            overrides: `a.b=value` assignments that win over the file.
            scale: Which of the file's scales; the first by default.

        Raises:
            SpecError: With every problem found, each with its line.
            ConfigError: There is no such file, preset or scale, or it is no YAML.
        """
        document = parse(*source_text(source)).at_scale(scale).with_overrides(overrides or [])
        problems = base_problems(document)
        try:
            spec = cls.model_validate(document.data)
        except ValidationError as error:
            problems = [
                *validation_messages(error, document, cls),
                *problems,
                *space_problems(document),
            ]
        else:
            problems = (
                problems
                or space_problems(document)
                or metric_problems(document, spec.accuracy)
                or cell_problems(document, spec.probe_samples, spec.config, spec.seeds[0])
            )
            if not problems:
                configs = (spec.config(sample, spec.seeds[0]) for sample in spec.probe_samples)
                models, wrong = starting_models(spec.base, spec.space, configs)
                problems = [f"{document.place(path)}: {problem}" for path, problem in wrong]
            if not problems:
                return spec.model_copy(update={"corpus": _absolute(spec.corpus), "models": models})
        raise SpecError(document.name, sorted(problems, key=line))


def _absolute(corpus: str) -> str:
    if corpus == "sample" or "://" in corpus:
        return corpus
    return str(Path(corpus).absolute())


def _as_read(written: Any, read: Any) -> Any:
    """The settings that were written, with the values that were read from them."""
    if isinstance(written, Mapping) and isinstance(read, Mapping):
        return {name: _as_read(value, read.get(name, value)) for name, value in written.items()}
    return read


def planned_pairs(spec: StudySpec) -> list[tuple[Sample, int]]:
    """Every cell of a grid with every seed. Seeds vary slowest, so that an unfinished study already
    compares all cells.
    """
    return [(cell, seed) for seed in spec.seeds for cell in spec.cells or ()]
