"""The model of an export, which needs torch alone, against the one that was trained."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from cpc_core.checkpoint import save_checkpoint
from cpc_core.config import CpcConfig
from cpc_core.export import cpc_model
from cpc_core.export.layout import joined_weights, split_weights
from cpc_core.export.reader import read_encoder, read_model
from cpc_core.export.writer import export_model
from cpc_core.step import TrainState
from tests.helpers.configs import noise, tiny_config
from tests.helpers.exports import KINDS, both

CPU = torch.device("cpu")

FINITE = [name for name in KINDS if name != "over time"]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("lengths", [None, [80, 41, 14, 60]])
def test_it_computes_what_was_trained(name: str, lengths: list[int] | None) -> None:
    model, exported = both(name)
    samples = None if lengths is None else torch.tensor(lengths)
    with torch.no_grad():
        wanted, found = model(noise(4, 80), samples), exported(noise(4, 80), samples)
    assert torch.allclose(found["latents"], wanted.latents, atol=1e-5)
    assert torch.allclose(found["contexts"], wanted.contexts, atol=1e-5)
    frames = torch.tensor([model.geometry.frames(n) for n in lengths or [80] * 4])
    assert torch.equal(found["lengths"], frames)


@pytest.mark.parametrize("name", KINDS)
def test_a_clip_is_what_it_is_alone(name: str) -> None:
    _, exported = both(name)
    lengths = [80, 41, 14, 60]
    together = exported(noise(4, 80), torch.tensor(lengths))
    for row, samples in enumerate(lengths):
        alone = exported(noise(4, 80)[row : row + 1, :samples])
        for part in ("latents", "contexts", "context.0", "encoder.0"):
            frames = alone[part].shape[1]
            assert torch.allclose(together[part][row, :frames], alone[part][0], atol=3e-6)


@pytest.mark.parametrize("name", FINITE)
@pytest.mark.parametrize("frames", [1, 3, 50, 1000])
def test_pieces_are_the_whole(name: str, frames: int) -> None:
    _, exported = both(name)
    audio = noise(1, 503)
    whole = exported(audio)
    pieces = list(exported.pieces(audio[0], frames))
    assert all(piece["latents"].shape[1] <= frames for piece in pieces)
    for part in ("latents", "contexts"):
        joined = torch.cat([piece[part] for piece in pieces], 1)
        assert joined.shape == whole[part].shape
        assert torch.allclose(joined, whole[part], atol=3e-6)


def test_pieces_of_a_norm_over_time_are_refused() -> None:
    with pytest.raises(ValueError, match="norm over time"):
        list(both("over time")[1].pieces(noise(1, 100)[0]))


@pytest.mark.parametrize("name", ["dense", "same"])
@pytest.mark.parametrize("samples", [5, 80, 81, 83, 84])
def test_centred_frames_cover_the_audio(name: str, samples: int) -> None:
    model, exported = both(name)
    if not exported.same:
        patch_centre = (model.geometry.patch_samples / 2 - exported.left) / exported.hop
        assert abs(patch_centre - 0.5) * exported.hop <= 0.5
    contexts, times = exported.centred(noise(2, samples))
    hop_ms = 1000 * exported.hop / 16_000
    assert contexts.shape[:2] == times.shape == (2, -(-samples // exported.hop))
    assert torch.allclose(times[0], (torch.arange(times.shape[1]) + 0.5) * hop_ms)


@pytest.mark.parametrize("name", KINDS)
def test_weights_go_there_and_back(name: str) -> None:
    model, _ = both(name)
    again = joined_weights(*split_weights(model.state_dict()))
    assert again.keys() == model.state_dict().keys()
    assert all(torch.equal(again[key], value) for key, value in model.state_dict().items())


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported_to(tmp_path_factory.mktemp("export") / "model", tiny_config())


def exported_to(folder: Path, config: CpcConfig) -> Path:
    checkpoint = folder.with_name(f"checkpoint-of-{folder.name}")
    checkpoint.mkdir()
    save_checkpoint(TrainState.create(config, CPU), {}, checkpoint)
    export_model(checkpoint, folder, {"study": "tiny", "metrics": {"dev_map": 0.5}})
    return folder


def test_both_readers_agree(export: Path) -> None:
    with torch.no_grad():
        wanted = read_model(export)(noise(2, 80)).contexts
    assert torch.allclose(read_encoder(export)(noise(2, 80))["contexts"], wanted, atol=1e-5)


def test_it_is_the_same_bytes_every_time(export: Path, tmp_path: Path) -> None:
    again = exported_to(tmp_path / "model", tiny_config())
    files = {path.relative_to(export) for path in export.rglob("*") if path.is_file()}
    assert files == {path.relative_to(again) for path in again.rglob("*") if path.is_file()}
    assert all((export / file).read_bytes() == (again / file).read_bytes() for file in files)


def test_it_runs_where_cpc_study_is_not_installed(export: Path, tmp_path: Path) -> None:
    """A process that finds torch and safetensors, and none of this project's packages."""
    audio, out = noise(2, 80), tmp_path / "contexts.pt"
    torch.save(audio, tmp_path / "audio.pt")
    code = (
        "import sys, torch\n"
        f"sys.path[:] = [p for p in sys.path if p and 'cpc' not in p] + [{str(export)!r}]\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f)]\n"
        "import cpc_model\n"
        "assert cpc_model.__file__.startswith(" + repr(str(export)) + ")\n"
        f"audio = torch.load({str(tmp_path / 'audio.pt')!r})\n"
        f"torch.save(cpc_model.load_model()(audio)['contexts'], {str(out)!r})\n"
        "print([name for name in sys.modules if name.partition('.')[0] in"
        " ('cpc_core', 'study', 'pydantic', 'ray')])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    wanted = read_encoder(export)(audio)["contexts"]
    assert torch.allclose(torch.load(out), wanted, atol=1e-6)


def test_the_module_is_short_and_needs_two_packages() -> None:
    text = Path(cpc_model.__file__).read_text()
    assert sum(bool(line.strip()) for line in text.splitlines()) <= 200
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - set(sys.stdlib_module_names) == {"torch", "safetensors", "transformers"}


def module_of(folder: Path) -> Any:
    """The module in an export, as a tool imports it."""
    spec = importlib.util.spec_from_file_location("exported_cpc_model", folder / "cpc_model.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_hear_checks(tmp_path: Path) -> None:
    """The checks of hearvalidator 2021.1, one by one."""
    hear = module_of(
        exported_to(tmp_path / "model", CpcConfig.model_validate({"encoder": {"width": 8}}))
    )
    model = hear.load_model("")
    assert isinstance(model, torch.nn.Module) and model.sample_rate in (16_000, 22_050, 32_000)
    assert isinstance(model.scene_embedding_size, int)
    assert isinstance(model.timestamp_embedding_size, int)
    for seconds in (0.4, 2.0, 4.32):
        audio = noise(4, int(seconds * 16_000)).clamp(-1, 1)
        scene = hear.get_scene_embeddings(audio, model)
        assert scene.shape == (4, model.scene_embedding_size) and scene.dtype == torch.float32
        frames, times = hear.get_timestamp_embeddings(audio, model)
        assert frames.shape == (4, times.shape[1], model.timestamp_embedding_size)
        assert times.shape[0] == 4 and times.dtype == torch.float32
        assert (times >= 0).all() and (times <= 1000 * seconds + 1e-3).all()
        steps = times[:, 1:] - times[:, :-1]
        assert (steps >= 0).all() and (steps <= 50).all() and torch.allclose(steps, steps[0, 0])


def test_what_s3prl_checks(tmp_path: Path) -> None:
    """Its upstream tests: lengths by the downsampling rate, and a recording as if it were alone."""
    s3prl = module_of(
        exported_to(tmp_path / "model", CpcConfig.model_validate({"encoder": {"width": 8}}))
    )
    expert = s3prl.UpstreamExpert(str(tmp_path / "model")).eval()
    wavs = [noise(1, samples, seed)[0] for seed, samples in enumerate((16_000, 7_001, 31_500))]
    states = expert(wavs)["hidden_states"]
    assert len(states) == 12 and len({state.shape for state in states}) == 1
    rate = expert.get_downsample_rates("hidden_states")
    assert states[0].shape[1] == -(-31_500 // rate)
    assert all(weight.requires_grad for weight in expert.parameters())
    for row, wav in enumerate(wavs):
        for state, alone in zip(states, expert([wav])["hidden_states"], strict=True):
            assert torch.allclose(state[row, : alone.shape[1]], alone[0], atol=1e-5)
