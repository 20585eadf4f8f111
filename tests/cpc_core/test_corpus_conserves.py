"""Importers keep account of everything, whatever the names, tables and bytes are."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from cpc_core.corpus.importing.run import ImportSummary, import_folder
from cpc_core.corpus.manifest import ImportOptions
from cpc_core.corpus.sources.detect import SOURCES, open_source
from cpc_core.corpus.sources.entry import Entry
from cpc_core.errors import CorpusError
from tests.helpers.recordings import listed, noise

SHORT = ImportOptions(clip_s=0.06)

_encoded = io.BytesIO()
soundfile.write(_encoded, noise(0.06), 16_000, format="WAV", subtype="PCM_16")
WAV = _encoded.getvalue()

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12
).filter(lambda name: name not in (".", ".."))
ENDINGS = st.sampled_from([".wav", ".WAV", ".mp4", ".txt", "", ".csv", ".flac"])
FOLDERS = st.sampled_from(["", "dog", "Dog", "train", "test", "caf\u00e9", "cafe\u0301", "a"])
CONTENTS = {"audio": WAV, "cut": WAV[:60], "empty": b"", "text": b"not audio"}
FILES = st.dictionaries(
    st.tuples(FOLDERS, NAMES, ENDINGS).map(lambda parts: Path(parts[0], parts[1] + parts[2])),
    st.sampled_from([*CONTENTS, "audio"]).map(CONTENTS.__getitem__),
    min_size=1,
    max_size=8,
)
TEXT = st.text(st.sampled_from("path,label;\t|\"'\\[]\n\r a.wv0\u00e9\ufeff#=:"), max_size=60)
FIELDS = st.one_of(st.sampled_from(["train", "dev", "nan", "0", "1.5", "a|b", "['a']"]), NAMES)


@contextmanager
def source(files: dict[Path, bytes]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as home:
        for path, content in files.items():
            target = Path(home, "s", path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        yield Path(home, "s")


def conserves(folder: Path, described: int) -> None:
    """Imports a folder, and finds each of its files and each entry exactly once."""
    files = sum(path.is_file() for path in folder.rglob("*"))
    try:
        entries = [each for each in open_source(folder).entries() if isinstance(each, Entry)]
        summary: ImportSummary = import_folder(folder, folder.parent / "c", SHORT)
    except CorpusError:
        return
    manifest = summary.corpus.manifest
    rejected = listed(folder.parent / "c" / "rejected.csv")
    imported = sum(
        len(pq.read_table(folder.parent / "c" / shard.file, columns=["path"]))
        for shard in manifest.shards
    )
    named = {entry.path for entry in entries if (folder / entry.path).exists()}
    assert imported + len(rejected) == manifest.totals.recordings == len(entries)
    assert len(named) + sum(manifest.ignored.values()) + described == files


@settings(max_examples=60, deadline=None)
@given(FILES)
def test_folders_of_any_names_and_bytes(files: dict[Path, bytes]) -> None:
    try:
        with source(files) as folder:
            conserves(folder, described=0)
    except (NotADirectoryError, IsADirectoryError, FileExistsError):
        return  # A name is both a file and a folder.


@settings(max_examples=60, deadline=None)
@given(
    FILES,
    st.lists(st.tuples(FIELDS, FIELDS, st.integers(0, 9)), min_size=1, max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["label", "tags", "Labels"]),
)
def test_tables_of_any_names_and_dialects(
    files: dict[Path, bytes],
    rows: list[tuple[str, str, int]],
    separator: str,
    encoding: str,
    column: str,
) -> None:
    names = sorted(files)
    table = io.StringIO(newline="")
    writer = csv.writer(table, delimiter=separator)
    writer.writerow(["path", column, "group"])
    for label, group, number in rows:
        written = str(names[number % len(names)]) if number < 8 else "missing.wav"
        writer.writerow([written, label, group])
    try:
        with source(files | {Path("labels.csv"): table.getvalue().encode(encoding)}) as folder:
            conserves(folder, described=1)
    except (NotADirectoryError, IsADirectoryError, FileExistsError):
        return


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.binary(max_size=200), TEXT.map(str.encode), TEXT.map(lambda t: t.encode("utf-16")))
)
def test_tables_of_any_bytes_are_read_or_refused(content: bytes) -> None:
    for start in (b"", b"path,label\n", b"path;tags;split\n"):
        with source({Path("labels.csv"): start + content}) as folder:
            refused_or_read(folder)


@pytest.mark.parametrize(
    "table",
    [
        "meta/esc50.csv",
        "metadata/UrbanSound8K.csv",
        "FSD50K.ground_truth/dev.csv",
        "meta.txt",
        "class_labels_indices.csv",
    ],
)
@settings(max_examples=60, deadline=None)
@given(content=st.one_of(st.binary(max_size=100), TEXT.map(str.encode)))
def test_published_tables_of_any_bytes_are_read_or_refused(table: str, content: bytes) -> None:
    files = {Path(table): content, Path("x_segments.csv"): content, Path("evaluation_setup/x"): b""}
    with source(files) as folder:
        refused_or_read(folder)


def refused_or_read(folder: Path) -> None:
    try:
        list(open_source(folder).entries())
    except CorpusError as error:
        assert str(folder) in str(error) or "folders" in str(error)


def test_every_published_format_is_tried() -> None:
    assert {*SOURCES} - {"labels", "folder"} == {
        "audioset",
        "esc50",
        "urbansound8k",
        "fsd50k",
        "scenes",
    }
