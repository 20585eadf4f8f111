"""`cpc data import` and `cpc data info`, as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.cli import cpc
from tests.helpers.recordings import noise, write_labels, write_recording


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a source `s` of three good recordings and a broken one."""
    for index in range(3):
        write_recording(
            tmp_path / "s" / "dog" / f"{index}.wav", noise(0.5, index), subtype="PCM_16"
        )
    (tmp_path / "s" / "dog" / "broken.wav").write_text("not audio")
    return tmp_path


def test_import_sums_up_and_info_shows_the_manifest(home: Path) -> None:
    result = cpc(
        "data", "import", "s", "--out", "c", "--clip-s", "0.25", "--dev-fraction", "0", cwd=home
    )
    assert (result.code, result.out) == (0, "")
    assert "4 recordings → 6 train clips of 0.25 s, 0.0 minutes of audio" in result.err
    assert "1 could not be used" in result.err
    assert str(home / "c" / "rejected.csv") in result.err
    assert "cpc data info c" in result.err
    info = cpc("data", "info", "c", "-o", "json", cwd=home)
    (row,) = json.loads(info.out)
    assert {name: row[name] for name in ("split", "clips", "shards", "row_groups")} == {
        "split": "train", "clips": 6, "shards": 1, "row_groups": 1
    }  # fmt: skip
    manifest = json.loads((home / "c" / "manifest.json").read_text())
    assert manifest["totals"] == {"recordings": 4, "rejected": 1, "noted": 0, "audio_s": 1.5}
    for shown in (
        "4 recordings",
        "1 refused",
        "schema 2",
        "clip_s 0.25",
        "seed 0",
        "labels (1): dog 6",
    ):
        assert shown in info.err


def test_strict_creates_the_corpus_and_ends_with_an_error(home: Path) -> None:
    result = cpc("data", "import", "s", "-o", "c", "--clip-s", "0.5", "--strict", cwd=home, code=1)
    assert "cpc: recordings that could not be used: 1, and --strict allows none" in result.err
    assert (home / "c" / "manifest.json").is_file()
    (home / "s" / "dog" / "broken.wav").unlink()
    cpc("data", "import", "s", "-o", "c", "--clip-s", "0.5", "--strict", "--overwrite", cwd=home)


def test_groups_in_several_splits_are_reported(home: Path) -> None:
    rows = [
        {"path": f"dog/{index}.wav", "label": "dog", "split": split, "group": "rex"}
        for index, split in enumerate(("train", "test"))
    ]
    write_labels(home / "s", rows)
    result = cpc("data", "import", "s", "-o", "c", "--clip-s", "0.5", cwd=home)
    assert result.code == 0
    assert "groups in more than one split: 1, as the source specifies" in result.err


@pytest.mark.parametrize(
    ("labels", "arguments", "code", "message"),
    [
        (None, "--kind labels", 3, "has no labels.csv or labels.tsv or labels.parquet"),
        ("path,name\ndog/0.wav,dog\n", "", 2, "has neither a column label nor a column tags"),
        (
            "path,label,split\ndog/0.wav,dog,validation\n",
            "",
            2,
            "line 2: unknown split 'validation': use one of train, dev, test",
        ),
        (None, "--kind gtzan", 2, "gtzan"),
        (None, "--clip-s 0.01", 2, "clip_s 0.01: Input should be greater than or equal to 0.06"),
        (None, "--dev-fraction 1", 2, "dev_fraction 1.0: Input should be less than 1"),
        (None, "--tasks -1", 2, "--tasks"),
        (None, "--out occupied/c", 1, "occupied/c cannot be written (Not a directory)"),
    ],
)
def test_an_impossible_import_is_one_sentence(
    home: Path, labels: str | None, arguments: str, code: int, message: str
) -> None:
    (home / "occupied").touch()
    if labels is not None:
        (home / "s" / "labels.csv").write_text(labels)
    result = cpc(
        "data",
        "import",
        "s",
        *(["-o", "c"] if "--out" not in arguments else []),
        *arguments.split(),
        cwd=home,
        code=code,
    )
    assert message in " ".join(result.err.split())
    assert "Traceback" not in result.err
    assert sorted(path.name for path in home.iterdir()) == ["occupied", "s"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("data", "import", "", "--out", "c"),
        ("data", "import", " ", "--out", "c"),
        ("data", "import", "s", "--out", ""),
        ("data", "info", ""),
        ("data", "audit", ""),
        ("trial", "run", "--corpus", ""),
    ],
)
def test_an_empty_argument_is_wrong_usage(home: Path, arguments: tuple[str, ...]) -> None:
    """A script with a variable that is not set would take the current folder."""
    result = cpc(*arguments, cwd=home, code=2)
    assert "is empty: name a folder" in result.err or "at least 1 character" in result.err
    assert sorted(path.name for path in home.iterdir()) == ["s"]


def test_a_table_that_is_wrong_is_wrong_input(home: Path) -> None:
    (home / "s" / "labels.csv").write_text("path,label\ndog/0.wav,Child speech, kid speaking\n")
    result = cpc("data", "import", "s", "--out", "c", cwd=home, code=2)
    assert "line 2: 3 fields where the header has 2: put quotes around" in result.err


def test_an_import_says_what_it_left_out_and_reads_so(home: Path) -> None:
    (home / "s" / "dog" / "about.txt").touch()
    (home / "s" / "cat.csv").touch()
    result = cpc("data", "import", "s", "--out", "c", "--clip-s", "0.5", cwd=home)
    for sentence in (
        "files left out by their endings: 1 .csv, 1 .txt",
        "tables that were not used: cat.csv",
        "every recording has the label 'dog'",
    ):
        assert sentence in result.err
    assert "left out: 1 .csv, 1 .txt" in cpc("data", "info", "c", cwd=home).err
