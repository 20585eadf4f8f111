"""Checkpoints, exports and manifests with random damage: one typed error, or the same values."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpc_core.checkpoint import load_checkpoint, save_checkpoint
from cpc_core.corpus.corpus import Corpus
from cpc_core.errors import CpcError
from cpc_core.export.layout import FILES, MANIFEST
from cpc_core.export.manifest import read_training_config
from cpc_core.export.reader import read_encoder, read_model
from cpc_core.export.writer import export_model
from cpc_core.step import TrainState, train_step
from tests.helpers.configs import tiny_batch, tiny_config
from tests.helpers.damage import with_random_damage
from tests.helpers.recordings import noise_corpus

CPU = torch.device("cpu")
FUZZ = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

Values = dict[str, Any]


def equal(left: Any, right: Any) -> bool:
    """True for the same values, whatever is in them."""
    if isinstance(left, torch.Tensor):
        return isinstance(right, torch.Tensor) and torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return bool(left == right)


def same_or_refused(
    folder: Path, names: list[str], read: Callable[[], Values], data: st.DataObject
) -> None:
    """Damages one of the files, and reads what is in the folder."""
    expected = read()
    path = folder / data.draw(st.sampled_from(names), label="file")
    content = path.read_bytes()
    path.write_bytes(with_random_damage(content, data, is_json=path.suffix == ".json"))
    try:
        found = read()
    except CpcError as error:
        assert str(error)
    else:
        assert equal(found, expected)
    finally:
        path.write_bytes(content)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    state = TrainState.create(tiny_config(), CPU)
    train_step(state, tiny_batch())
    save_checkpoint(state, {"collapsed_reports": 1}, folder)
    return folder


@FUZZ
@given(data=st.data())
def test_a_damaged_checkpoint_is_refused(checkpoint: Path, data: st.DataObject) -> None:
    def read() -> Values:
        state = TrainState.create(tiny_config(), CPU)
        history = load_checkpoint(state, checkpoint)
        return {
            "model": state.model.state_dict(),
            "optimizer": state.optimizer.state_dict(),
            "step": state.step,
            "history": history,
        }

    same_or_refused(checkpoint, ["state.pt", "config.json"], read, data)


@FUZZ
@given(data=st.data())
def test_a_damaged_export_is_refused(checkpoint: Path, tmp_path: Path, data: st.DataObject) -> None:
    export = tmp_path / "export"
    if not export.exists():
        export_model(checkpoint, export, {"study": "s"})

    def read() -> Values:
        return {
            "encoder": read_encoder(export).state_dict(),
            "model": read_model(export).state_dict(),
            "config": read_training_config(export),
        }

    same_or_refused(export, [*FILES, MANIFEST], read, data)


@FUZZ
@given(data=st.data())
def test_a_damaged_manifest_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    corpus = tmp_path / "corpus"
    if not corpus.exists():
        made = noise_corpus(tmp_path / "made", train=6, dev=4, clip_s=0.06)
        shutil.copytree(Path(made.folder), corpus)

    def read() -> Values:
        opened = Corpus.open(corpus)
        clips = opened.draw_clips("dev", 4)
        return {"hash": opened.hash, "audio": clips.audio, "labels": clips.labels}

    same_or_refused(corpus, ["manifest.json"], read, data)
