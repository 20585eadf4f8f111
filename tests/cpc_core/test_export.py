"""An export replaces an export or an empty folder, and nothing else."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cpc_core.checkpoint import save_checkpoint
from cpc_core.errors import ConfigError
from cpc_core.export.reader import read_model
from cpc_core.export.writer import export_model
from cpc_core.step import TrainState
from tests.helpers.configs import tiny_config


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    save_checkpoint(TrainState.create(tiny_config(), torch.device("cpu")), {}, folder)
    return folder


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def with_notes(place: Path, checkpoint: Path) -> None:
    (place / "keep").mkdir(parents=True)
    (place / "keep" / "file").write_text("precious")


def export_with_more(place: Path, checkpoint: Path) -> None:
    export_model(checkpoint, place, {})
    (place / "notes.md").write_text("precious")


def part_of_an_export(place: Path, checkpoint: Path) -> None:
    place.mkdir()
    (place / "config.json").write_text("{}")


def link(place: Path, checkpoint: Path) -> None:
    export_model(checkpoint, place.with_name("elsewhere"), {})
    place.symlink_to(place.with_name("elsewhere"))


def file(place: Path, checkpoint: Path) -> None:
    place.write_text("precious")


@pytest.mark.parametrize("make", [with_notes, export_with_more, part_of_an_export, link, file])
def test_nothing_else_is_replaced(
    tmp_path: Path, checkpoint: Path, make: Callable[[Path, Path], None]
) -> None:
    make(tmp_path / "out", checkpoint)
    before = tree(tmp_path)
    with pytest.raises(ConfigError, match="out is "):
        export_model(checkpoint, tmp_path / "out", {})
    assert tree(tmp_path) == before


def test_the_folder_it_runs_in_is_not_replaced(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ConfigError, match="the folder that this runs in"):
        export_model(checkpoint, Path(), {})


@pytest.mark.parametrize("earlier", ["none", "empty", "export"])
def test_an_export_is_replaced_whole(tmp_path: Path, checkpoint: Path, earlier: str) -> None:
    out = tmp_path / "out"
    if earlier == "empty":
        out.mkdir()
    elif earlier == "export":
        export_model(checkpoint, out, {"study": "before"})
    export_model(checkpoint, out, {"study": "after"})
    assert '"study": "after"' in (out / "provenance.json").read_text()
    read_model(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "out"]


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_every_file_follows_the_umask(tmp_path: Path, checkpoint: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        export_model(checkpoint, tmp_path / "out", {})
    finally:
        os.umask(before)
    modes = {
        stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert modes == {0o666 & ~mask}
