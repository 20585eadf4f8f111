from __future__ import annotations

from pathlib import Path

import pytest

from cpc_core.corpus.importing.splits import with_splits
from cpc_core.corpus.sources.entry import Entry
from cpc_core.errors import CorpusError
from tests.helpers.recordings import recordings


def write(folder: Path, text: str) -> Path:
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    return folder


def test_a_row_with_only_a_path_and_tags(tmp_path: Path) -> None:
    (entry,) = recordings(write(tmp_path, "path,tags\nx/a.wav,b| a |b|\n"))
    assert entry == Entry(
        path=Path("x/a.wav"), label="", tags=("a", "b"), split=None, group="x/a.wav"
    )


def test_a_byte_order_mark_and_quotes_are_understood(tmp_path: Path) -> None:
    (entry,) = recordings(write(tmp_path, '\ufeffpath,label\n"a, b.wav","say ""hi"""\n'))
    assert (entry.path, entry.label) == (Path("a, b.wav"), 'say "hi"')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na.wav,x\n", "has no column path, only file, label: add it"),
        ("", "lists no recordings"),
        ("path,split\na.wav,train\n", "has neither a column label nor a column tags"),
        ("path,label\n", "lists no recordings"),
        (
            "path,label,split\na.wav,x,train\nb.wav,x,validation\n",
            "line 3: unknown split 'validation': use one of train, dev, test",
        ),
        ("path,label,split\na.wav,x,train\nb.wav,x,\n", "names a split in some rows only"),
        ("path,label\n../a.wav,x\n", "line 2: path '../a.wav' is not a path below"),
        ("path,label\n/etc/a.wav,x\n", "line 2: path '/etc/a.wav' is not a path below"),
        ("path,label\n,x\n", "line 2: path '' is not a path below"),
        ("path,label,start_s\na.wav,x,1:30\n", "line 2: start_s '1:30' is not a number of seconds"),
        ("path,label,end_s\na.wav,x,inf\n", "line 2: end_s 'inf' is not a number of seconds"),
        ("path,label,start_s,end_s\na.wav,x,3,2\n", "line 2: end_s 2 is not after start_s 3"),
    ],
)
def test_an_unusable_labels_csv_is_one_sentence_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(CorpusError) as error:
        recordings(write(tmp_path, text))
    assert message in str(error.value)
    assert str(tmp_path / "labels.csv") in str(error.value)


def test_a_labels_csv_that_is_not_utf_8_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"path,label\n\xff\xfe.wav,x\n")
    with pytest.raises(CorpusError, match="cannot be read as UTF-8 CSV"):
        recordings(tmp_path)


def test_a_missing_and_an_empty_folder_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="there is no folder"):
        recordings(tmp_path / "missing")
    with pytest.raises(CorpusError, match=r"has neither a labels\.csv nor audio files"):
        recordings(tmp_path)


def entries(groups: list[str]) -> list[Entry]:
    return [
        Entry(Path(f"{index}.wav"), "x", ("x",), None, group) for index, group in enumerate(groups)
    ]


def test_one_group_always_stays_for_training() -> None:
    assert {entry.split for entry in with_splits(entries(["a"] * 5), 0.5, 0)} == {"train"}
    assert {entry.split for entry in with_splits(entries(["a", "b"]), 0.99, 0)} == {"train", "dev"}


def test_a_fraction_of_zero_has_no_dev_split() -> None:
    assert {entry.split for entry in with_splits(entries(["a", "b", "c"]), 0.0, 0)} == {"train"}


def test_a_recording_added_later_moves_no_other() -> None:
    names = [str(index) for index in range(200)]
    before = {entry.group: entry.split for entry in with_splits(entries(names), 0.1, 0)}
    after = {entry.group: entry.split for entry in with_splits(entries([*names, "new"]), 0.1, 0)}
    assert sum(after[name] != before[name] for name in names) <= 1
