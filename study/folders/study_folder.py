"""The folder of a study: its files, and the study that it may hold."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from cpc_core.config import CONFIG_SCHEMA
from cpc_core.errors import ConfigError, StorageError, is_of_the_disk
from cpc_core.storage_path import StoragePath
from study.folders.json_file import read_as
from study.folders.trial_folder import TrialFolder
from study.spec.study_spec import StudySpec
from study.spec.yaml_document import load

T = TypeVar("T")

SPEC, PROVENANCE, PREDICTION = "spec.yaml", "provenance.json", "prediction.json"
CONTROL, JOURNAL = "control.json", "journal.log"


@dataclass(frozen=True)
class Prediction:
    """Predicted cost of a study, from before its first run.

    Attributes:
        training_s: Label of a cell → seconds of training of one of its trials; of a search, the
            corners of its space.
        mean_training_s: Mean over those.
        wall_s: Seconds of the whole study.
        gpus_per_trial: GPUs that a trial occupies while it trains.
    """

    training_s: Mapping[str, float]
    mean_training_s: float
    wall_s: float
    gpus_per_trial: float


@dataclass(frozen=True, init=False)
class StudyFolder:
    """Folder of one study, on this machine or in an object store.

    <study>/spec.yaml          the spec that the study was started with
    <study>/provenance.json    versions, hardware and corpus of its first run
    <study>/prediction.json    its predicted cost
    <study>/journal.log        its trials, unless the spec names a database for them; in an object
                               store the folder `journal`
    <study>/driver.lock        the lock of its driver; in an object store `drivers/driver.json`
    <study>/control.json       requests to its driver
    <study>/trials/t00000/     one folder a trial: configuration, metrics log, checkpoints

    Attributes:
        path: Path or URI of the folder, which need not exist.
        given: The same as the user wrote it, for messages.
    """

    path: StoragePath
    given: str = field(compare=False)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        object.__setattr__(self, "path", StoragePath.of(path))
        object.__setattr__(self, "given", str(path))

    def __str__(self) -> str:
        return self.given

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    def holds_study(self) -> bool:
        """True if a study was started here."""
        return (self.path / SPEC).is_file()

    def spec(self) -> StudySpec:
        """The spec that the study was started with.

        Raises:
            ConfigError: It is missing or damaged.
        """
        path = self.path / SPEC
        try:
            return StudySpec.model_validate(load(path.read_bytes()))
        except FileNotFoundError as error:
            raise ConfigError(
                f"{self} holds no study: it has no {SPEC}; "
                f"start one with `cpc study run SPEC.yaml -o {self}`"
            ) from error
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
            raise _unreadable(path, str(error).splitlines()[0]) from error

    def provenance(self) -> dict[str, Any]:
        """Versions, hardware and hashes of the study's first run.

        Raises:
            ConfigError: They are missing or damaged.
        """
        return _required(self.path / PROVENANCE, dict[str, Any])

    def prediction(self) -> Prediction | None:
        """Predicted cost of the study; None where none was made.

        Raises:
            ConfigError: It is damaged.
        """
        path = self.path / PREDICTION
        return _required(path, Prediction) if path.exists() else None

    def write_spec(self, spec: StudySpec) -> None:
        """Writes the spec."""
        (self.path / SPEC).write_text(spec.to_yaml())

    def write_provenance(self, content: Mapping[str, Any]) -> None:
        """Writes the provenance of the first run."""
        (self.path / PROVENANCE).write_text(json.dumps(content, indent=2) + "\n")

    def write_prediction(self, prediction: Prediction) -> None:
        """Writes the predicted cost."""
        (self.path / PREDICTION).write_text(
            json.dumps(asdict(prediction), indent=2, ensure_ascii=False) + "\n"
        )

    def trial(self, number: int) -> TrialFolder:
        """Folder of a trial, which need not exist."""
        return TrialFolder(self.path, number)

    def require_same(self, spec: StudySpec, corpus_hash: str) -> None:
        """Checks that the folder's study is of this spec and this corpus.

        Raises:
            ConfigError: It is of another spec, corpus or storage backend, or its trials are of
                configurations that another version resolved.
        """
        stored = self.spec()
        if stored.hash != spec.hash:
            raise ConfigError(
                f"{self} holds the study '{stored.name}' with spec {stored.hash}, "
                f"not {spec.hash}: choose another folder with -o, or restore the spec that it was "
                f"started with{_continuation(stored, spec)}"
            )
        provenance = self.provenance()
        if provenance.get("config_schema", 2) != CONFIG_SCHEMA:
            raise ConfigError(
                f"{self} was started by another version, whose trials are no seeds of the same "
                "cells: it can be shown, reported and exported; choose another folder with -o to "
                "train it again"
            )
        stored_corpus = provenance["corpus_hash"]
        if stored_corpus != corpus_hash:
            raise ConfigError(
                f"{self} was started on a corpus with hash {stored_corpus[:12]}, but {spec.corpus} "
                f"has {corpus_hash[:12]}: choose another folder with -o, or restore the corpus"
            )
        if stored.store != spec.store:
            raise ConfigError(
                f"{self} keeps its trials in {stored.store or 'its journal'}, not in "
                f"{spec.store or 'its journal'}: resume it with `cpc study resume {self}`, or edit "
                f"store in {self.path / SPEC} where the database has moved"
            )


@contextmanager
def disk_errors(study: StudyFolder) -> Iterator[None]:
    """Turns errors of a full or read-only disk in the block into one sentence.

    Raises:
        StorageError: The study's folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        if is_of_the_disk(error):
            raise unwritable(study, error.strerror or str(error)) from error
        raise


def unwritable(study: StudyFolder, problem: str) -> StorageError:
    """Error of a study whose disk is full or read-only."""
    return StorageError(
        f"the study {study} cannot be written ({problem}): free space; the same command goes on "
        "from the last checkpoints"
    )


def _unreadable(path: StoragePath, problem: object) -> ConfigError:
    return ConfigError(
        f"{path} cannot be read ({problem}): restore it, or start the study again in another folder"
    )


def _required(path: StoragePath, kind: type[T]) -> T:
    try:
        return read_as(path, kind)
    except FileNotFoundError as error:
        raise _unreadable(path, error) from error


def _continuation(stored: StudySpec, spec: StudySpec) -> str:
    """Advice where the specs differ in the length of the training alone."""

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
        return (
            ". To train longer, keep both: in a folder beside this one, every trial resumes from "
            "its last checkpoint here"
        )
    return (
        ". Only training.steps differs, but the learning rate falls over as many steps, so that no "
        "step would be the same: name optimizer.decay_steps in both specs, and in a folder beside "
        "this one every trial resumes from its last checkpoint here"
    )
