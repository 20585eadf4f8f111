"""Whether a spec may go on in a folder that holds a study."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import yaml
from pydantic import ValidationError

from cpc_core.errors import ConfigError
from cpc_core.storage_path import Place, StoragePath
from study.spec.study_spec import StudySpec

SPEC, PROVENANCE, PREDICTION = "spec.yaml", "provenance.json", "prediction.json"


def read_spec(folder: Place) -> StudySpec:
    """The spec that the study was started with.

    Raises:
        ConfigError: It is missing or damaged.
    """
    path = folder / SPEC
    try:
        return StudySpec.model_validate(yaml.safe_load(path.read_bytes()))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{folder} holds no study: it has no {SPEC}; start one with `cpc study run SPEC.yaml -o {folder}`"
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(
            f"{path} cannot be read ({first}): restore it, or start the study again in another folder"
        ) from error


def read_provenance(folder: Place) -> dict[str, Any]:
    """Versions, hardware and hashes of the study's first run.

    Raises:
        ConfigError: They are missing or damaged.
    """
    return _json(folder / PROVENANCE)


def _prediction(folder: StoragePath) -> Prediction | None:
    path = folder / PREDICTION
    return Prediction(**_json(path)) if path.exists() else None


def _json(path: Place) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], json.loads(path.read_bytes()))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}): restore it, or start the study again in another folder"
        ) from error


@dataclass(frozen=True)
class Prediction:
    """What a study was expected to cost when it was first run.

    Attributes:
        training_s: Cell in words → seconds that one of its trials trains; of a search, the corners
            of its space.
        mean_training_s: Mean over those.
        wall_s: Seconds of the whole study.
        gpus_per_trial: GPUs that a trial holds while it trains.
    """

    training_s: Mapping[str, float]
    mean_training_s: float
    wall_s: float
    gpus_per_trial: float


def refuse_another(folder: StoragePath, spec: StudySpec, corpus_hash: str) -> None:
    """Makes sure that the folder's study is the spec's.

    Raises:
        ConfigError: It is of another spec, corpus or store.
    """
    stored = read_spec(folder)
    if stored.hash != spec.hash:
        raise ConfigError(
            f"{folder} holds the study '{stored.name}' with spec {stored.hash}, not {spec.hash}: choose another folder with -o, "
            f"or restore the spec that it was started with{_continuation(stored, spec)}"
        )
    stored_corpus = read_provenance(folder)["corpus_hash"]
    if stored_corpus != corpus_hash:
        raise ConfigError(
            f"{folder} was started on a corpus with hash {stored_corpus[:12]}, but {spec.corpus} has {corpus_hash[:12]}: "
            "choose another folder with -o, or restore the corpus"
        )
    if stored.store != spec.store:
        raise ConfigError(
            f"{folder} keeps its trials in {stored.store or 'its journal'}, not in {spec.store or 'its journal'}: go on with "
            f"`cpc study resume {folder}`, or edit store in {folder / SPEC} where the database has moved"
        )


def _continuation(stored: StudySpec, spec: StudySpec) -> str:
    """What to do where the specs differ in nothing but how long they train."""

    def split(given: StudySpec) -> tuple[StudySpec, bool]:
        training = {
            name: value for name, value in given.base.get("training", {}).items() if name != "steps"
        }
        decays = given.base.get("optimizer", {}).get("decay_steps") is not None
        return given.model_copy(update={"base": {**given.base, "training": training}}), decays

    (shorter, decays), (longer, _) = split(stored), split(spec)
    if shorter.hash != longer.hash:
        return ""
    if decays:
        return ". To train longer, keep both: in a folder beside this one, every trial goes on from its last checkpoint here"
    return (
        ". Only training.steps differs, but the learning rate falls over as many steps, so that no step would be the same: name "
        "optimizer.decay_steps in both specs, and in a folder beside this one every trial goes on from its last checkpoint here"
    )
