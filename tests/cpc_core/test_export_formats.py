"""ONNX and torch.export files of an export, in their own runtimes, against the model."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor

from cpc_core.checkpoint import save_checkpoint
from cpc_core.errors import CheckpointError, ConfigError
from cpc_core.export import formats
from cpc_core.export.formats import convert, require_packages
from cpc_core.export.manifest import read_verification
from cpc_core.export.reader import verify
from cpc_core.export.writer import export_model
from cpc_core.step import TrainState
from tests.helpers.configs import noise, tiny_config
from tests.helpers.exports import both

SHAPES = ((1, 10), (4, 10), (1, 14), (2, 77), (3, 400))
"""Of audio, that of the shortest clip of patches of ten samples first."""


def in_onnx_runtime(content: bytes, audio: Tensor) -> list[Tensor]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return [torch.from_numpy(each) for each in session.run(None, {"audio": audio.numpy()})]


# The exporters take seconds for each: between them, both paddings, both norms, and concatenation.
@pytest.mark.parametrize("kind", ["same", "over time", "bottleneck"])
def test_each_computes_what_the_model_does(kind: str) -> None:
    _, encoder = both(kind)
    files, verified = convert(encoder, ("onnx", "pt2"))
    loaded = torch.export.load(io.BytesIO(files["model.pt2"])).module()
    for clips, samples in SHAPES:
        audio = noise(clips, samples)
        wanted = encoder(audio)
        for found in (in_onnx_runtime(files["model.onnx"], audio), loaded(audio)):
            for part, name in zip(found, ("contexts", "latents"), strict=True):
                assert part.shape == wanted[name].shape
                assert torch.allclose(part, wanted[name], atol=1e-4, rtol=0)
    for each in verified.values():
        assert [1, encoder.hop if encoder.same else encoder.patch] in each["shapes"]
        assert len({clips for clips, _ in each["shapes"]}) > 2
        assert 0 <= each["largest_difference"] <= 1e-4 * max(1, each["largest_feature"])


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same model, exported twice, and once more over the second one."""
    home = tmp_path_factory.mktemp("exports")
    (home / "checkpoint").mkdir()
    state = TrainState.create(tiny_config(), torch.device("cpu"))
    save_checkpoint(state, {}, home / "checkpoint")
    for name in ("one", "two", "two"):
        export_model(home / "checkpoint", home / name, {}, ("pt2", "onnx"))
    return home / "one", home / "two"


def test_they_are_the_same_bytes_every_time(exports: tuple[Path, Path]) -> None:
    one, two = exports
    for name in ("model.onnx", "model.pt2", "verification.json", "manifest.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
        # Nothing of where they were made.
        assert b"site-packages" not in (one / name).read_bytes()
        assert b"cpc_core" not in (one / name).read_bytes()


def test_they_are_checked_like_every_other_file(exports: tuple[Path, Path]) -> None:
    export = exports[0]
    assert {"model.onnx", "model.pt2", "verification.json"} < set(verify(export))
    assert read_verification(export).keys() == {"onnx", "pt2"}
    card = (export / "README.md").read_text()
    assert "onnxruntime.InferenceSession" in card and "10 samples or more" in card
    before = (export / "model.onnx").read_bytes()
    try:
        (export / "model.onnx").write_bytes(before[:-1])
        with pytest.raises(CheckpointError, match=r"model\.onnx is damaged"):
            verify(export)
    finally:
        (export / "model.onnx").write_bytes(before)


def test_a_file_that_computes_something_else_is_not_written(
    exports: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "TOLERANCE", -1.0)
    checkpoint, out = exports[0].with_name("checkpoint"), exports[0].with_name("none")
    with pytest.raises(ConfigError, match=r"model\.pt2 differs from the model by"):
        export_model(checkpoint, out, {}, ["pt2"])
    assert not out.exists()


def test_a_model_too_large_for_onnx_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "LARGEST_ONNX", 1000)
    with pytest.raises(ConfigError, match="do not fit into an ONNX file"):
        convert(both("dense")[1], ["onnx"])


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_names_the_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    require_packages(["pt2"])
    with pytest.raises(ConfigError, match=rf"{package} .*'cpc-study\[onnx\]'"):
        require_packages(["onnx"])
