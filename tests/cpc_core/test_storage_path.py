from __future__ import annotations

from pathlib import Path

import pytest

from cpc_core.errors import PathError
from cpc_core.storage_path import StoragePath


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("file:///data/corpus", "/data/corpus"),
        (Path("/data/corpus"), "/data/corpus"),
        ("s3://bucket/a", "s3://bucket/a"),
        (StoragePath("s3://bucket/a"), "s3://bucket/a"),
    ],
)
def test_places_are_written_in_one_way(place: str | Path | StoragePath, text: str) -> None:
    assert str(StoragePath.of(place)) == text


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Path(StoragePath.of("corpus")) == tmp_path / "corpus"


def test_what_a_store_needs_to_be_told_stays_behind_the_name() -> None:
    place = StoragePath.of("s3://bucket/a/b?region=eu-west-1")
    assert str(place / "c") == "s3://bucket/a/b/c?region=eu-west-1"
    assert str(place.sibling("c")) == "s3://bucket/a/c?region=eu-west-1"
    assert (place / "c").name == "c"


def test_a_uri_is_no_path() -> None:
    with pytest.raises(PathError, match="s3://bucket/a is not on this machine"):
        Path(StoragePath.of("s3://bucket/a"))


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    place = StoragePath.of(tmp_path / "file")
    place.write_bytes(b"before")
    with pytest.raises(KeyError), place.writing() as file:
        file.write(b"half")
        raise KeyError
    assert place.read_bytes() == b"before"
    assert StoragePath.of(tmp_path).file_sizes() == {"file": 6}
