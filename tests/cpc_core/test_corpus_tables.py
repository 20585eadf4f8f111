from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cpc_core.corpus.importing.run import import_folder
from cpc_core.corpus.manifest import ImportOptions
from cpc_core.corpus.sources.detect import open_source
from cpc_core.corpus.sources.entry import Remark
from cpc_core.errors import TableError
from tests.helpers.recordings import listed, noise, recordings, write_recording

SHORT = ImportOptions(clip_s=0.5)


def write(folder: Path, text: str, encoding: str = "utf-8", name: str = "labels.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(text.encode(encoding))
    return folder


def labels(folder: Path) -> list[tuple[str, tuple[str, ...]]]:
    return [(str(entry.path), entry.tags) for entry in recordings(folder)]


def remark(folder: Path) -> str:
    (found,) = (each for each in open_source(folder).entries() if isinstance(each, Remark))
    return found.note


@pytest.mark.parametrize(
    ("text", "encoding", "note"),
    [
        ("path,label\na.wav,dog\nb.wav,cat\n", "utf-8", ""),
        ("path,label\r\na.wav,dog\r\n\r\nb.wav,cat\r\n", "utf-8-sig", ""),
        ("path,label\ra.wav,dog\rb.wav,cat", "utf-8", ""),
        ("path, label\na.wav, dog\nb.wav, cat\n", "utf-8", ""),
        ('"path","label"\n"a.wav","dog"\n"b.wav","cat"\n', "utf-8", ""),
        ("path,label,\na.wav,dog,\nb.wav,cat,\n", "utf-8", ""),
        (",path,label\n0,a.wav,dog\n1,b.wav,cat\n", "utf-8", ""),
        ("# by hand, of May\npath,label\na.wav,dog\nb.wav,cat\n", "utf-8", ""),
        ("\n\npath,label\na.wav,dog\nb.wav,cat\n", "utf-8", ""),
        ("Path,LABEL\na.wav,dog\nb.wav,cat\n", "utf-8", ""),
        ("path;label\na.wav;dog\nb.wav;cat\n", "utf-8", "is separated by semicolons"),
        ("path\tlabel\na.wav\tdog\nb.wav\tcat\n", "utf-8", "is separated by tabs"),
        ("path|label\na.wav|dog\nb.wav|cat\n", "utf-8", "is separated by '|'"),
        ("sep=;\npath;label\na.wav;dog\nb.wav;cat\n", "utf-8", "is separated by semicolons"),
        ("path,label\na.wav,dog\nb.wav,cat\n", "utf-16", "is UTF-16"),
        (
            "path\tlabel\na.wav\tdog\nb.wav\tcat\n",
            "utf-16",
            "is UTF-16 and is separated by tabs",
        ),
    ],
)
def test_tables_of_many_dialects_are_read(
    tmp_path: Path, text: str, encoding: str, note: str
) -> None:
    write(tmp_path, text, encoding)
    assert labels(tmp_path) == [("a.wav", ("dog",)), ("b.wav", ("cat",))]
    assert remark(tmp_path) == note


def test_a_table_of_tabs_may_be_called_so(tmp_path: Path) -> None:
    write(tmp_path, "path\tlabel\na.wav\tdog\n", name="labels.tsv")
    assert labels(tmp_path) == [("a.wav", ("dog",))]


@pytest.mark.parametrize(
    ("text", "encoding", "message"),
    [
        (
            "path,label\n1.wav,Child speech, kid speaking\n",
            "utf-8",
            "line 2: 3 fields where the header has 2: put quotes around a value that holds ','",
        ),
        (
            "path,label,split\na.wav,x,train\nb.wav,x\n",
            "utf-8",
            "line 3: 2 fields where the header has 3: write all of them",
        ),
        ("path;label\na.wav;x;y\n", "utf-8", "line 2: 3 fields where the header has 2: put quotes"),
        ("path,label\na.wav\n", "utf-8", "line 2: 1 fields where the header has 2"),
        ('path,label\na.wav,"dog\nb.wav,cat\n', "utf-8", "line 2: a quote is not closed"),
        ('path,label\na.wav,"dog\nb.wav,"cat"\n', "utf-8", "line 2: a quote is not closed"),
        (
            'path,label\na.wav,"dog\nb.wav,cat"\n',
            "utf-8",
            r"line 2: label 'dog\nb.wav,cat' spans several lines: close its quote",
        ),
        ('path,label\na.wav,"say "hi""\n', "utf-8", "line 2: a quote is not closed, or stands al"),
        ("path,label,label\na.wav,x,y\n", "utf-8", "line 1: two columns are named 'label'"),
        ("path,labels,tags\na.wav,x,y\n", "utf-8", "has two columns for tags"),
        ("path label\na.wav dog\n", "utf-8", "has no column path, only path label: add it"),
        ("a.wav,dog\nb.wav,cat\n", "utf-8", "add it to the first line, which names the columns"),
        ("path,label\na.wav,dog\nb.wav,caf\u00e9\n", "latin-1", "line 3 cannot be read as UTF-8"),
        ("path,label\na.wav,dog\n", "utf-16-le", "it holds zero bytes, as UTF-16 without"),
        ("path,label\na.wav,a|b\n", "utf-8", "line 2: label 'a|b' is more than one label"),
        (
            "path,label\na.wav,\"['a', 'b']\"\n",
            "utf-8",
            "line 2: label \"['a', 'b']\" is more than",
        ),
        (
            'path,labels\na.wav,x\nb.wav,"Electric_guitar,Guitar,Music"\n',
            "utf-8",
            "line 3: 'Electric_guitar,Guitar,Music' seems to be several labels: join them by '|'",
        ),
        ("path,tags\na.wav,x;y\n", "utf-8", "line 2: 'x;y' seems to be several labels"),
        ("path,tags\na.wav,[a\n", "utf-8", None),
        (
            "path,label,split\na.wav,x,train\na.wav,y,dev\n",
            "utf-8",
            "line 3: a.wav was listed before with another split, group or fold",
        ),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, text: str, encoding: str, message: str | None
) -> None:
    write(tmp_path, text, encoding)
    if message is None:
        assert labels(tmp_path) == [("a.wav", ("[a",))]
        return
    with pytest.raises(TableError) as error:
        recordings(tmp_path)
    assert message in str(error.value)
    assert str(tmp_path / "labels.csv") in str(error.value)
    assert error.value.exit_code == 2


def test_one_row_per_label_is_one_recording(tmp_path: Path) -> None:
    write(tmp_path, "path,label,group\na.wav,dog,g\nb.wav,cat,g\na.wav,bark,g\n")
    dog, cat = recordings(tmp_path)
    assert (dog.label, dog.tags, cat.label) == ("", ("bark", "dog"), "cat")
    assert "has one row per label: 1 rows were joined to others" in remark(tmp_path)


def test_parts_of_a_recording_keep_their_own_labels(tmp_path: Path) -> None:
    write(tmp_path, "path,label,start_s,end_s\na.wav,dog,0,1\na.wav,cat,1,2\n")
    assert labels(tmp_path) == [("a.wav", ("dog",)), ("a.wav", ("cat",))]


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("\"['a', 'b']\"", ("a", "b")),
        ('"[""a"", ""b""]"', ("a", "b")),
        ("\"('a',)\"", ("a",)),
        ("[]", ()),
        ("a|b", ("a", "b")),
        ("NaN|a", ("a",)),
        ('"Male speech, man speaking"', ("Male speech, man speaking",)),
    ],
)
def test_tags_are_joined_by_bars_or_lists(tmp_path: Path, text: str, tags: tuple[str, ...]) -> None:
    write(tmp_path, f"path,tags\na.wav,{text}\n")
    assert labels(tmp_path) == [("a.wav", tags)]
    assert remark(tmp_path) or text == "a|b"


def test_a_label_with_a_bare_comma_is_noted(tmp_path: Path) -> None:
    write(tmp_path, 'path,label\na.wav,"Guitar,Music"\nb.wav,"Male speech, man speaking"\n')
    assert labels(tmp_path)[0] == ("a.wav", ("Guitar,Music",))
    assert remark(tmp_path).startswith("has 1 values with commas or semicolons, each taken as one")


def test_values_with_commas_are_labels_where_bars_join(tmp_path: Path) -> None:
    write(tmp_path, 'path,tags\na.wav,"x,y"\nb.wav,x|z\n')
    assert labels(tmp_path) == [("a.wav", ("x,y",)), ("b.wav", ("x", "z"))]


@pytest.mark.parametrize("word", ["nan", "NaN", "<NA>", "NA", "None", "null", "n/a"])
def test_words_for_a_missing_value_are_no_labels(tmp_path: Path, word: str) -> None:
    write(tmp_path, f"path,label,group,end_s\na.wav,{word},{word},{word}\n")
    (entry,) = recordings(tmp_path)
    assert (entry.label, entry.tags, entry.group, entry.end_s) == ("", (), "a.wav", None)
    assert remark(tmp_path) == f"values that are taken as missing: {word!r} (3)"


def test_nan_in_parquet_is_missing(tmp_path: Path) -> None:
    rows = {
        "path": ["a.wav", "b.wav"],
        "label": pa.array([float("nan"), 2.0]),
        "tags": [["x", None], None],
        "fold": [1, 2],
    }
    pq.write_table(pa.table(rows), tmp_path / "labels.parquet")
    one, two = recordings(tmp_path)
    assert (one.label, one.tags, one.fold) == ("", ("x",), "1")
    assert (two.label, two.tags, two.fold) == ("2.0", ("2.0",), "2")


@pytest.mark.parametrize(
    ("written", "there"),
    [
        ("audio\\1.wav", "audio/1.wav"),
        ("audio/1", "audio/1.wav"),
        ("audio/1.mp3", "audio/1.wav"),
        ("Audio/1.WAV", "audio/1.wav"),
        ("caf\u00e9.wav", "cafe\u0301.wav"),
        ("cafe\u0301.wav", "caf\u00e9.wav"),
        ("./audio/1.wav", "audio/1.wav"),
    ],
)
def test_a_path_is_found_as_it_was_meant(tmp_path: Path, written: str, there: str) -> None:
    write_recording(tmp_path / "s" / there, noise(0.5))
    write(tmp_path / "s", f"path,label\n{written},dog\n")
    import_folder(tmp_path / "s", tmp_path / "c", SHORT)
    assert [row["path"] for row in listed(tmp_path / "c" / "rejected.csv")] == []
    notes = [(row["path"], row["note"]) for row in listed(tmp_path / "c" / "notes.csv")]
    assert notes == [(there, f"the table writes {written!r}")] * (not written.startswith("./"))


def test_a_path_that_is_not_there_is_rejected_with_a_hint(tmp_path: Path) -> None:
    for name in ("audio/1.wav", "audio/2.wav", "audio/2.flac", "ok.wav"):
        write_recording(tmp_path / "s" / name, noise(0.5))
    write(tmp_path / "s", "path,label\nok.wav,x\n1.wav,x\naudio/2,x\n3.wav,x\n")
    import_folder(tmp_path / "s", tmp_path / "c", SHORT)
    assert {row["path"]: row["reason"] for row in listed(tmp_path / "c" / "rejected.csv")} == {
        "1.wav": "there is no such file; audio/1.wav is there",
        "audio/2": "there is no such file; it may be audio/2.flac or audio/2.wav: write which",
        "3.wav": "there is no such file",
    }


def test_labels_that_look_alike_are_one(tmp_path: Path) -> None:
    write(tmp_path, "path,tags\na.wav,caf\u00e9|cafe\u0301\nb.wav,cafe\u0301\n")
    assert labels(tmp_path) == [("a.wav", ("caf\u00e9",)), ("b.wav", ("caf\u00e9",))]


def test_a_value_of_several_lines_is_noted(tmp_path: Path) -> None:
    """As text it is fine, but rows would be lost in it if its quote were not closed."""
    write(tmp_path, 'path,label,about\na.wav,x,"one\ntwo"\nb.wav,y,z\n')
    assert labels(tmp_path) == [("a.wav", ("x",)), ("b.wav", ("y",))]
    assert "has values of several lines, the first in" in remark(tmp_path)
