"""A training that starts from an export: the same weights, and refusals of what is not them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cpc_core.checkpoint import load_checkpoint, save_checkpoint
from cpc_core.config import CpcConfig, signature, trajectory
from cpc_core.errors import CheckpointError, ConfigError
from cpc_core.export.first_weights import read_first_weights
from cpc_core.export.layout import OPTIMIZER
from cpc_core.export.reader import read_model, verify
from cpc_core.export.warm_start import start_from_export
from cpc_core.export.writer import export_model
from cpc_core.step import TrainState, train_step
from tests.helpers.configs import tiny_batch, tiny_config

CPU = torch.device("cpu")
STEPS = 3


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained for three steps: `plain`, and `going-on` with the optimizer."""
    home = tmp_path_factory.mktemp("home")
    state = TrainState.create(tiny_config(), CPU)
    for step in range(STEPS):
        train_step(state, tiny_batch(step=step))
    (home / "checkpoint").mkdir()
    save_checkpoint(state, {}, home / "checkpoint")
    export_model(home / "checkpoint", home / "plain", {})
    export_model(home / "checkpoint", home / "going-on", {}, optimizer=True)
    return home


def started(place: Path, **changes: Any) -> TrainState:
    """A trial with other first weights of its own, started from an export."""
    first = {"model": str(place), "model_hash": read_first_weights(place).hash}
    state = TrainState.create(tiny_config(initialisation=first, seed=7, **changes), CPU)
    start_from_export(state)
    return state


def losses(state: TrainState) -> list[float]:
    return [float(train_step(state, tiny_batch(step=step)).loss) for step in range(2)]


def weights(state: TrainState) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in state.model.state_dict().items()}


def assert_equal(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    assert [name for name in found if not torch.equal(found[name], wanted[name])] == []


def test_it_takes_the_steps_of_the_exported_model(home: Path) -> None:
    reference = TrainState.create(tiny_config(seed=7), CPU)
    reference.model.load_state_dict(read_model(home / "plain").state_dict())
    state = started(home / "plain")
    assert_equal(weights(state), weights(reference))
    assert losses(state) == losses(reference)
    assert_equal(weights(state), weights(reference))


def test_its_first_losses_are_these(home: Path) -> None:
    assert losses(started(home / "plain")) == pytest.approx([157.5339, 157.1581], abs=0.01)


def test_adam_goes_on_from_its_averages(home: Path) -> None:
    """The step is the one that the first training would have taken, had it counted from zero."""
    original = TrainState.create(tiny_config(), CPU)
    load_checkpoint(original, home / "checkpoint")
    original.step = 0
    original.config = tiny_config(seed=7)
    state = started(home / "going-on")
    assert losses(state) == losses(original)
    assert_equal(weights(state), weights(original))
    fresh = started(home / "plain")
    losses(fresh)
    name = "encoder.layers.0.conv.conv.weight"
    assert not torch.equal(weights(fresh)[name], weights(state)[name])


def test_the_optimizer_is_one_file_more_of_the_export(home: Path) -> None:
    assert OPTIMIZER in verify(home / "going-on") and OPTIMIZER not in verify(home / "plain")
    plain, more = (read_first_weights(home / name) for name in ("plain", "going-on"))
    assert plain.hash != more.hash and plain.config == more.config


def test_a_model_without_a_step_has_no_optimizer(tmp_path: Path) -> None:
    save_checkpoint(TrainState.create(tiny_config(), CPU), {}, tmp_path)
    with pytest.raises(ConfigError, match="has taken no step"):
        export_model(tmp_path, tmp_path / "out", {}, optimizer=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"similarity": {"kind": "dot"}},
        {"similarity": {"kind": "nonlinear_cosine", "hidden": 9}},
        {"objective": {"first_step": 3, "n_steps": 3}},
    ],
)
@pytest.mark.parametrize("name", ["plain", "going-on"])
def test_another_objective_is_drawn_on_the_same_networks(
    home: Path, name: str, changes: dict[str, Any]
) -> None:
    state = started(home / name, **changes)
    drawn = TrainState.create(state.config, CPU).model.state_dict()
    exported = read_model(home / name).state_dict()
    for part, weight in state.model.state_dict().items():
        source = drawn if part.startswith("objective.") else exported
        assert torch.equal(weight, source[part])
    train_step(state, tiny_batch())


def test_other_networks_are_refused_by_their_fields(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"do not fit: encoder\.width 8 \(the export: 6\)$"):
        started(home / "plain", encoder={"width": 8, "kernels": [4, 4, 1], "strides": [2, 2, 1]})
    with pytest.raises(ConfigError, match=r"context\.kernels .*, context\.connections none"):
        started(home / "plain", context={"kernels": [2, 3], "connections": "none"})


def test_other_weights_are_refused(home: Path) -> None:
    first = {
        "model": str(home / "plain"),
        "model_hash": read_first_weights(home / "going-on").hash,
    }
    state = TrainState.create(tiny_config(initialisation=first), CPU)
    with pytest.raises(ConfigError, match=r"starts from weights with hash .*: restore that export"):
        start_from_export(state)


def test_damaged_weights_and_older_exports_are_refused(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "plain", tmp_path / "damaged")
    path = tmp_path / "damaged" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
        started(tmp_path / "damaged")
    shutil.copytree(home / "plain", tmp_path / "older")
    (tmp_path / "older" / "manifest.json").unlink()
    shutil.move(tmp_path / "older" / "training" / "config.json", tmp_path / "older" / "config.json")
    with pytest.raises(CheckpointError, match="older version; export again to start from it"):
        started(tmp_path / "older")
    with pytest.raises(CheckpointError, match="is no export"):
        started(tmp_path)


def test_the_weights_count_and_their_place_does_not() -> None:
    def config(**first: str) -> CpcConfig:
        return tiny_config(initialisation=first)

    for identity in (signature, trajectory):
        here = identity(config(model="here", model_hash="a"), "corpus")
        assert here == identity(config(model="there", model_hash="a"), "corpus")
        assert here != identity(config(model="here", model_hash="b"), "corpus")
        assert here != identity(config(), "corpus")
