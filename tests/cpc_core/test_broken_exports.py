"""Broken and hostile exports: each a typed error, whether or not its hashes were made to fit."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from cpc_core.checkpoint import save_checkpoint
from cpc_core.errors import CheckpointError, ConfigError
from cpc_core.export.layout import FILES, MANIFEST, WEIGHTS
from cpc_core.export.reader import read_encoder, read_model, read_settings, verify
from cpc_core.export.writer import export_model
from cpc_core.step import TrainState
from tests.helpers.configs import tiny_config

Break = Callable[[Path], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkpoint = tmp_path_factory.mktemp("checkpoint")
    save_checkpoint(TrainState.create(tiny_config(), torch.device("cpu")), {}, checkpoint)
    out = tmp_path_factory.mktemp("export") / "model"
    export_model(checkpoint, out, {"study": "s"})
    return out


@pytest.fixture
def export(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def rehash(export: Path) -> None:
    """Makes the hashes fit, as who means harm would."""
    manifest = json.loads((export / MANIFEST).read_text())
    for name in manifest["sha256"]:
        if (export / name).is_file():
            content = (export / name).read_bytes()
            manifest["sha256"][name] = hashlib.sha256(content).hexdigest()
    (export / MANIFEST).write_text(json.dumps(manifest))


def truncated(name: str, share: float) -> Break:
    def deed(export: Path) -> None:
        content = (export / name).read_bytes()
        (export / name).write_bytes(content[: int(share * len(content))])

    return deed


def flipped(name: str) -> Break:
    def deed(export: Path) -> None:
        content = bytearray((export / name).read_bytes())
        content[len(content) // 2] ^= 4
        (export / name).write_bytes(content)

    return deed


def without(name: str) -> Break:
    return lambda export: (export / name).unlink()


def config(change: Callable[[dict[str, Any]], object], name: str = "config.json") -> Break:
    def deed(export: Path) -> None:
        content = json.loads((export / name).read_text())
        change(content)
        (export / name).write_text(json.dumps(content))
        rehash(export)

    return deed


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Break:
    def deed(export: Path) -> None:
        tensors = load((export / WEIGHTS).read_bytes())
        change(tensors)
        (export / WEIGHTS).write_bytes(save(tensors))
        rehash(export)

    return deed


def content(name: str, text: bytes, *, fits: bool = True) -> Break:
    def deed(export: Path) -> None:
        (export / name).write_bytes(text)
        if fits:
            rehash(export)

    return deed


def manifest(change: Callable[[dict[str, Any]], object]) -> Break:
    def deed(export: Path) -> None:
        told = json.loads((export / MANIFEST).read_text())
        change(told)
        (export / MANIFEST).write_text(json.dumps(told))

    return deed


def linked(name: str) -> Break:
    def deed(export: Path) -> None:
        (export / name).rename(export.parent / "elsewhere")
        (export / name).symlink_to(export.parent / "elsewhere")

    return deed


class Harmful:
    def __reduce__(self) -> Any:
        return os.system, ("touch harmed",)


def header(entries: dict[str, Any]) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def a_folder(export: Path) -> None:
    (export / WEIGHTS).unlink()
    (export / WEIGHTS).mkdir()


def broken_link(export: Path) -> None:
    (export / MANIFEST).unlink()
    (export / MANIFEST).symlink_to("nowhere")


def cut_and_hashed(export: Path) -> None:
    truncated(WEIGHTS, 0.9)(export)
    rehash(export)


def first_of(tensors: dict[str, torch.Tensor]) -> str:
    return min(tensors)


BROKEN: dict[str, Break] = {
    **{f"{name} missing": without(name) for name in FILES},
    **{f"{name} flipped": flipped(name) for name in (*FILES,)},
    **{f"{name} cut": truncated(name, 0.5) for name in (WEIGHTS, "config.json", MANIFEST)},
    "weights empty": truncated(WEIGHTS, 0),
    "weights cut, hashes fit": cut_and_hashed,
    "a folder for a file": a_folder,
    "wider": config(lambda told: told["encoder"].update(width=8)),
    "hostile width": config(lambda told: told["encoder"].update(width=200_000)),
    "a stride edited": config(lambda told: told["encoder"].update(strides=[2, 1, 1])),
    "a kernel edited": config(lambda told: told["context"].update(kernels=[2, 3, 5])),
    "connections edited": config(lambda told: told["context"].update(connections="dense_concat")),
    "hop edited": config(lambda told: told.update(hop=160)),
    "patch edited": config(lambda told: told.update(patch=3)),
    "dims edited": config(lambda told: told.update(dims=7)),
    "rate edited": config(lambda told: told.update(sample_rate=44_100)),
    "unknown norm": config(lambda told: told["encoder"].update(norm="batch")),
    "no encoder": config(lambda told: told.pop("encoder")),
    "text for a number": config(lambda told: told["encoder"].update(width="wide")),
    "an extra field": config(lambda told: told.update(code="import os")),
    "another model type": config(lambda told: told.update(model_type="bert")),
    "training config edited": config(
        lambda told: told["encoder"].update(width=8), "training/config.json"
    ),
    "config a list": content("config.json", b"[]"),
    "config binary": content("config.json", bytes(range(256))),
    "deep nesting": content(MANIFEST, b"[" * 100_000, fits=False),
    "manifest a list": content(MANIFEST, b"[]", fits=False),
    "int32": weights(lambda t: t.update({first_of(t): t[first_of(t)].int()})),
    "float16": weights(lambda t: t.update({name: value.half() for name, value in t.items()})),
    "NaN": weights(lambda t: t[first_of(t)].fill_(torch.nan)),
    "infinity": weights(lambda t: t[first_of(t)].view(-1)[:1].fill_(torch.inf)),
    "a weight missing": weights(lambda t: t.pop(first_of(t))),
    "a weight too many": weights(lambda t: t.update(more=torch.zeros(3))),
    "a weight transposed": weights(
        lambda t: t.update({"encoder.1.conv.weight": torch.zeros(4, 6, 6)})
    ),
    "a pickle": content(WEIGHTS, pickle.dumps(Harmful())),
    "huge header": content(WEIGHTS, struct.pack("<Q", 2**62) + b"{}"),
    "header of 640 GB": content(
        WEIGHTS,
        header(
            {"a": {"dtype": "F32", "shape": [400_000, 400_000], "data_offsets": [0, 64 * 10**10]}}
        ),
    ),
    "negative shape": content(
        WEIGHTS, header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}})
    ),
    "format a text": manifest(lambda told: told.update(format="1")),
    "no hashes": manifest(lambda told: told.update(sha256={})),
    "a path outside": manifest(lambda told: told["sha256"].update({"../../secret": "0" * 64})),
    "an absolute path": manifest(lambda told: told["sha256"].update({"/etc/passwd": "0" * 64})),
    "a hash that is no text": manifest(lambda told: told["sha256"].update({WEIGHTS: 3})),
    "weights a link": linked(WEIGHTS),
    "a folder a link": linked("training"),
    "manifest a broken link": broken_link,
}


@pytest.mark.parametrize("name", BROKEN)
def test_it_is_one_typed_error(export: Path, name: str) -> None:
    BROKEN[name](export)
    with pytest.raises(CheckpointError) as caught:
        verify(export)
    assert len(str(caught.value)) < 600
    assert not Path("harmed").exists()


@pytest.mark.parametrize("name", [name for name in BROKEN if name not in ("README.md missing",)])
def test_what_it_answers_is_never_another_model(export: Path, whole: Path, name: str) -> None:
    """Files that the encoder does not read may be broken: then it is the one that was exported."""
    BROKEN[name](export)
    wanted = read_encoder(whole)
    try:
        found = read_encoder(export)
        settings = read_settings(export)
    except CheckpointError:
        return
    assert settings == read_settings(whole)
    assert all(torch.equal(found.state_dict()[k], v) for k, v in wanted.state_dict().items())


def test_a_newer_format_is_refused_by_its_number(export: Path) -> None:
    manifest(lambda told: told.update(format=2))(export)
    for read in (read_encoder, read_model, verify):
        with pytest.raises(ConfigError, match=r"has format 2, this version reads up to 1: install"):
            read(export)


def test_an_older_export_is_read(whole: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    model = read_model(whole)
    (old / WEIGHTS).write_bytes(save(model.state_dict()))
    shutil.copy(whole / "training" / "config.json", old / "config.json")
    (old / "provenance.json").write_text("{}")
    audio = torch.randn(2, 80) * 0.1
    assert torch.equal(read_encoder(old)(audio)["contexts"], read_encoder(whole)(audio)["contexts"])
    assert torch.equal(read_model(old)(audio).contexts, model(audio).contexts)
    with pytest.raises(CheckpointError, match="has no manifest"):
        verify(old)


def test_an_export_is_read_through_a_link(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(whole)
    audio = torch.randn(1, 80) * 0.1
    linked, direct = (read_encoder(folder)(audio) for folder in (tmp_path / "latest", whole))
    assert torch.equal(linked["contexts"], direct["contexts"])


def test_an_older_export_without_weights_is_one_typed_error(whole: Path, tmp_path: Path) -> None:
    shutil.copy(whole / "training" / "config.json", tmp_path / "config.json")
    for read in (read_encoder, read_model):
        with pytest.raises(CheckpointError, match="cannot be read"):
            read(tmp_path)
