"""`cpc embed` as it is typed: what it says, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from study.cli import embed as command
from tests.helpers.cli import cpc
from tests.helpers.exports import export
from tests.helpers.recordings import listed, noise, write_recording


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and a folder of recordings of which one is broken."""
    home = tmp_path_factory.mktemp("home")
    export(home)
    for name, seconds in (("a", 0.5), ("b", 0.2)):
        write_recording(home / "audio" / f"{name}.wav", noise(seconds))
    (home / "audio" / "broken.wav").write_text("no audio")
    return home


def test_it_says_what_became_of_every_recording(home: Path) -> None:
    said = cpc("embed", "model", "audio", "-o", "out/f.parquet", cwd=home).err
    assert "3 recordings → means of contexts, 16 numbers each, in out/f.parquet" in said
    assert "1 could not be used" in said and "f.notes.csv" in said
    assert [row["path"] for row in listed(home / "out" / "f.notes.csv")] == ["broken.wav"]
    assert pq.read_table(home / "out" / "f.parquet")["path"].to_pylist() == ["a.wav", "b.wav"]


def test_levels_and_layers(home: Path) -> None:
    cpc("embed", "model", "audio", "-o", "g.parquet", "--frames", "--layer", "latents", cwd=home)
    assert pq.read_table(home / "g.parquet")["frame_s"].null_count == 0
    cpc("embed", "checkpoint", "audio", "-o", "h.parquet", "--pooling", "mean_std", cwd=home)
    assert pq.read_schema(home / "h.parquet").field("embedding").type.list_size == 32
    cpc("embed", "checkpoint", "audio", "-o", "w.parquet", "--window-s", "0.1", cwd=home)
    assert np.allclose(pq.read_table(home / "w.parquet")["end_s"][-1].as_py(), 0.2)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("model", "nowhere"), 3, "there is no folder or table"),
        (("nowhere", "audio"), 3, "nowhere is no export"),
        (("model", "audio", "--layer", "context"), 2, "the model has no layer context: use"),
        (("model", "audio", "--frames", "--window-s", "1"), 2, "drop --window-s or --frames"),
        (("model", "audio/broken.wav"), 3, "none of the 1 recordings could be used"),
        (("model", "audio", "--strict"), 1, "could not be used: 1, and --strict allows none"),
    ],
)
def test_what_cannot_be_embedded(
    home: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    refused = cpc("embed", *arguments, "-o", "refused.parquet", cwd=home, code=code)
    assert said in refused.err
    assert (home / "refused.parquet").exists() == ("--strict" in arguments)


def test_a_file_is_replaced_only_on_request(home: Path) -> None:
    cpc("embed", "model", "audio", "-o", "again.parquet", cwd=home)
    refused = cpc("embed", "model", "audio", "-o", "again.parquet", cwd=home, code=2)
    assert "again.parquet exists already" in refused.err
    cpc("embed", "model", "audio", "-o", "again.parquet", "--overwrite", cwd=home)


@pytest.mark.parametrize(
    ("tasks", "address", "hours", "here"),
    [(None, None, 0.9, True), (None, None, 1.1, False), (0, None, 9.0, True), (2, None, 0.1, False),
     (None, "auto", 0.1, False)],
)  # fmt: skip
def test_large_sources_are_for_ray(
    tasks: int | None, address: str | None, hours: float, here: bool
) -> None:
    assert command.in_one_process(hours * 3600, tasks, address) == here
