"""Exports in other people's real tools, each in an environment of its own.

They bring gigabytes of packages, so that `make test` leaves them out:
`python -m pytest -m consumers tests/integration/test_consumers.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cpc_core.checkpoint import save_checkpoint
from cpc_core.config import CpcConfig
from cpc_core.export.reader import read_encoder
from cpc_core.export.writer import export_model
from cpc_core.step import TrainState
from tests.helpers.configs import noise

pytestmark = [pytest.mark.consumers, pytest.mark.timeout(1800)]

HUGGING_FACE = """
import json, sys
import torch
from transformers import AutoFeatureExtractor, AutoModel

folder, again, out = sys.argv[1:]
audio = [clip.numpy() for clip in torch.load("audio.pt")]
extractor = AutoFeatureExtractor.from_pretrained(folder)
inputs = extractor(audio, sampling_rate=16000, return_tensors="pt", padding=True)
model = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
with torch.no_grad():
    found = model(**inputs, output_hidden_states=True)
model.save_pretrained(again)
second = AutoModel.from_pretrained(again, trust_remote_code=True).eval()
with torch.no_grad():
    assert torch.equal(second(**inputs).last_hidden_state, found.last_hidden_state)
torch.save((found.last_hidden_state, len(found.hidden_states)), out)
"""


@pytest.fixture(scope="module", params=[64, 512])
def export(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    config = CpcConfig.model_validate({"encoder": {"width": request.param}})
    save_checkpoint(TrainState.create(config, torch.device("cpu")), {}, folder)
    export_model(folder, folder / "model", {"study": "consumers"})
    return folder / "model"


def installed(folder: Path, package: str) -> Path:
    """The package and all that it needs, in a folder."""
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "pip", "install", "--quiet", "--target", folder, package], check=True)
    return folder


@pytest.fixture(scope="module")
def transformers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("transformers"), "transformers")


@pytest.fixture(scope="module")
def hear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("hear"), "hearvalidator")


def test_hugging_face_loads_saves_and_loads(
    export: Path, transformers: Path, tmp_path: Path
) -> None:
    clips = [noise(1, length, length)[0] for length in (16_000, 9_000)]
    torch.save(clips, tmp_path / "audio.pt")
    subprocess.run(
        [sys.executable, "-c", HUGGING_FACE, str(export), "again", "out.pt"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(transformers), "HF_HOME": str(tmp_path / "home")},
        check=True,
    )
    states, layers = torch.load(tmp_path / "out.pt")
    assert layers == 12
    for row, clip in enumerate(clips):
        alone = read_encoder(export)(clip[None])["contexts"][0]
        assert torch.allclose(states[row, : len(alone)], alone, atol=1e-5)
    assert json.loads((tmp_path / "again" / "config.json").read_text())["model_type"] == "cpc_audio"


def test_hears_validator_is_satisfied(export: Path, hear: Path) -> None:
    done = subprocess.run(
        [sys.executable, hear / "bin" / "hear-validator", "cpc_model", "--model", export],
        env={**os.environ, "PYTHONPATH": f"{hear}{os.pathsep}{export}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Looks good!" in done.stdout, done.stdout + done.stderr
