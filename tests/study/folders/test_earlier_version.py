"""A study of before schema 3: it is read and exported, not continued."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cpc_core.checkpoint import save_checkpoint
from cpc_core.config import CpcConfig, upgraded
from cpc_core.errors import CheckpointError, ConfigError
from cpc_core.export.reader import read_model
from cpc_core.export.writer import export_model
from cpc_core.step import TrainState
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import TrialFolder
from study.results.reader import read_study
from tests.helpers.configs import noise, tiny_config
from tests.helpers.specs import tiny_spec

CORPUS = "c" * 64


def as_earlier(file: Path) -> None:
    """Rewrites a configuration as version 2 of its schema had it."""
    content = json.loads(file.read_text())
    del content["initialisation"]["kind"], content["compute"]["tf32"]
    content["initialisation"]["data_dependent"] = True
    content["negatives"].pop("pool_clips")
    content["negatives"]["pool"] = "worker"
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(("data_dependent", "kind"), [(True, "regression"), (False, "pytorch")])
def test_its_first_weights_have_a_name(data_dependent: bool, kind: str) -> None:
    fields = {"initialisation": {"data_dependent": data_dependent}, "negatives": {"pool": "all"}}
    config = CpcConfig.model_validate(upgraded(fields))
    assert (config.initialisation.kind, config.negatives.pool_clips) == (kind, 8)
    assert fields["negatives"] == {"pool": "all"}


def test_its_models_are_exported_and_loaded(tmp_path: Path) -> None:
    state = TrainState.create(tiny_config(), torch.device("cpu"))
    (tmp_path / "checkpoint").mkdir()
    save_checkpoint(state, {}, tmp_path / "checkpoint")
    as_earlier(tmp_path / "checkpoint" / "config.json")
    export_model(tmp_path / "checkpoint", tmp_path / "export", {})
    audio = noise(2, 400)
    with torch.no_grad():
        contexts = read_model(tmp_path / "export")(audio).contexts
        assert torch.equal(contexts, state.model(audio).contexts)


def test_its_trials_are_not_trained_again(tmp_path: Path) -> None:
    trial = TrialFolder(StudyFolder(tmp_path).path, 0)
    trial.create(tiny_config())
    as_earlier(tmp_path / "trials" / "t00000" / "config.json")
    with pytest.raises(CheckpointError, match="written by an earlier version: the trial can be"):
        trial.config()


def test_it_opens_and_is_not_resumed(tmp_path: Path) -> None:
    folder, spec = StudyFolder(tmp_path / "study"), tiny_spec()
    Dispatcher.create_or_open(folder, spec, CORPUS, "").close()
    Dispatcher.create_or_open(folder, spec, CORPUS, "").close()
    provenance = tmp_path / "study" / "provenance.json"
    content = json.loads(provenance.read_text())
    assert content.pop("config_schema") == 3
    provenance.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"started by another version, .* choose another folder"):
        Dispatcher.create_or_open(folder, spec, CORPUS, "")
    assert read_study(folder).planned == spec.planned_trials
