"""Exports that a spec's trials start from: what is wrong with them, and what is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cpc_core.checkpoint import save_checkpoint
from cpc_core.errors import CheckpointError, ConfigError
from cpc_core.export.first_weights import read_first_weights
from cpc_core.export.writer import export_model
from cpc_core.step import TrainState
from study.folders.study_folder import StudyFolder
from study.spec.study_spec import StudySpec
from tests.helpers.configs import tiny_config
from tests.helpers.specs import problems, tiny_spec, written

BASE = (
    "base: {encoder: {width: 6, kernels: [4, 4, 1], strides: [2, 2, 1]}, "
    "context: {kernels: [2, 3, 4]}}"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the specs are read in, with an export."""
    monkeypatch.chdir(tmp_path)
    exported(tmp_path / "model", 0)
    return tmp_path


def exported(out: Path, seed: int) -> None:
    (out.parent / f"checkpoint-{seed}").mkdir()
    state = TrainState.create(tiny_config(seed=seed), torch.device("cpu"))
    save_checkpoint(state, {}, out.parent / f"checkpoint-{seed}")
    export_model(out.parent / f"checkpoint-{seed}", out, {})


def spec_of(home: Path, lines: str) -> StudySpec:
    return StudySpec.load(written(home, f"name: my\n{BASE}\n{lines}\n"))


def test_weights_are_recorded_by_place_and_hash(home: Path) -> None:
    spec = spec_of(home, "space: {init: [null, model]}")
    fresh, warm = (spec.config(cell, 0).initialisation for cell in spec.cells or ())
    assert (fresh.model, fresh.model_hash) == (None, None)
    assert warm.model == str(home / "model")
    assert warm.model_hash == read_first_weights(home / "model").hash
    # Tables and claims have them as the spec does.
    assert [cell["init"] for cell in spec.cells or ()] == [None, "model"]
    stored = StudyFolder(home / "study")
    (home / "study").mkdir()
    stored.write_spec(spec)
    assert stored.spec() == spec


def test_all_cells_may_start_from_them(home: Path) -> None:
    spec = StudySpec.load(
        written(home, f"name: my\n{BASE}\nspace: {{temperature: [0.1, 1]}}"),
        ["base.initialisation.model=model"],
    )
    found = {spec.config(cell, 0).initialisation.model_hash for cell in spec.cells or ()}
    assert found == {read_first_weights(home / "model").hash}


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("space: {init: [model, nowhere]}", "nowhere is no export: config.json cannot be read"),
        (
            "space: {init: [model], width: [6, 8]}",
            "my.yaml:3: the weights of model do not fit: encoder.width 8 (the export: 6)",
        ),
        ("space: {init: {low: 1, high: 2}}", "'init' is not a number: list its values"),
    ],
)
def test_what_cannot_be_started_from_is_told_with_its_line(
    home: Path, lines: str, problem: str
) -> None:
    found = problems(home, f"name: my\n{BASE}\n{lines}\n")
    assert len(found) == 1 and problem in found[0], found
    assert found[0].startswith("my.yaml:3: ")


def test_other_weights_are_another_study(home: Path) -> None:
    spec = spec_of(home, "space: {init: [model]}")
    spec.require_models()
    exported(home / "model", 1)
    again = spec_of(home, "space: {init: [model]}")
    assert again.hash != spec.hash
    with pytest.raises(ConfigError, match="restore that export"):
        spec.require_models()
    (home / "model").rename(home / "elsewhere")
    with pytest.raises(CheckpointError, match="is no export"):
        spec.require_models()


def test_specs_without_them_are_what_they_were() -> None:
    assert "models" not in tiny_spec().to_yaml()
