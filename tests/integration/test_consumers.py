"""Exports in other people's real tools, each in an environment of its own.

They bring gigabytes of packages, so that `make test` leaves them out:
`python -m pytest -m consumers tests/integration/test_consumers.py`.
"""

from __future__ import annotations

import json
import os
import shutil
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

# s3prl 0.4.18 wants two names that torchaudio no longer has, and uses neither for an upstream.
S3PRL = """
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import torch, torchaudio

torchaudio.set_audio_backend = lambda *_: None
sox = torchaudio.sox_effects = sys.modules["torchaudio.sox_effects"] = ModuleType("sox_effects")
sox.apply_effects_tensor = None

import cpc_model, test_upstream
from s3prl import hub
from s3prl.util.pseudo_data import get_pseudo_wavs

hub.cpc_audio = partial(cpc_model.UpstreamExpert, sys.argv[1])
test_upstream.EXTRACTED_GT_DIR = Path.cwd()
wavs, lengths = (each.detach() for each in get_pseudo_wavs(seed=0, padded=True))
with torch.no_grad():
    states, frames = test_upstream.S3PRLUpstream("cpc_audio").eval()(wavs, lengths)
torch.save((wavs, lengths, states, frames), "found.pt")
torch.save([state[:, :-1] for state in states], "cpc_audio.pt")
test_upstream._test_specific_upstream("cpc_audio")
featurizer = test_upstream.Featurizer(test_upstream.S3PRLUpstream("cpc_audio"))
assert featurizer.downsample_rate == 320, featurizer.downsample_rate
"""


@pytest.fixture(scope="module", params=[64, 512])
def export(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    config = CpcConfig.model_validate({"encoder": {"width": request.param}})
    save_checkpoint(TrainState.create(config, torch.device("cpu")), {}, folder)
    export_model(folder, folder / "model", {"study": "consumers"})
    return folder / "model"


def installed(folder: Path, *packages: str) -> Path:
    """The packages and all that they need, in a folder."""
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "pip", "install", "--quiet", "--target", folder, *packages], check=True)
    return folder


@pytest.fixture(scope="module")
def transformers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("transformers"), "transformers")


@pytest.fixture(scope="module")
def hear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("hear"), "hearvalidator")


@pytest.fixture(scope="module")
def s3prl(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folders of the source distribution, which has the tests, and of what s3prl needs."""
    folder = tmp_path_factory.mktemp("s3prl")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "--dest", folder, "s3prl==0.4.18"], check=True)
    shutil.unpack_archive(folder / "s3prl-0.4.18.tar.gz", folder, filter="data")
    # Not torch and torchaudio, which are here.
    needed = installed(folder / "needed", "transformers", "omegaconf", "requests", "pytest")
    source = folder / "s3prl-0.4.18"
    return os.pathsep.join(map(str, (source, source / "test", needed)))


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


def test_s3prls_own_upstream_tests_pass(export: Path, s3prl: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", S3PRL, str(export)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{s3prl}{os.pathsep}{export}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wavs, lengths, states, frames = torch.load(tmp_path / "found.pt")
    encoder = read_encoder(export)
    for row, length in enumerate(lengths):
        alone, _ = encoder.centred(wavs[row : row + 1, :length])
        own = int(frames[-1][row])
        assert own == alone.shape[1]
        assert torch.allclose(states[-1][row, :own], alone[0], atol=1e-4)
