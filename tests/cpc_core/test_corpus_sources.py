from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cpc_core.corpus.importing.run import import_folder, import_source
from cpc_core.corpus.importing.splits import groups_in_several_splits, with_splits
from cpc_core.corpus.manifest import SPLITS, ImportOptions
from cpc_core.corpus.sources import detect
from cpc_core.corpus.sources.audioset import AudioSet
from cpc_core.corpus.sources.detect import open_source
from cpc_core.corpus.sources.entry import Entry
from cpc_core.corpus.sources.esc50 import Esc50
from cpc_core.corpus.sources.folder import ClassFolders
from cpc_core.corpus.sources.table import LabelTable
from cpc_core.errors import ConfigError, CorpusError
from tests.helpers.recordings import noise, recordings, write_recording

CLASSES = """index,mid,display_name
0,/m/09x0r,"Speech"
1,/m/05zppz,"Male speech, man speaking"
2,/t/dd00088,"Gush"
"""

TRAIN = """# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=22160, num_segs=22160, num_unique_labels=527, num_positive_labels=52882
# YTID, start_seconds, end_seconds, positive_labels
--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"
-0xzrMun0Rs, 2.500, 3.500, "/m/05zppz"
"""


def audioset(folder: Path, train: str = TRAIN, evaluation: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "class_labels_indices.csv").write_text(CLASSES)
    (folder / "balanced_train_segments.csv").write_text(train)
    if evaluation:
        (folder / "eval_segments.csv").write_text(evaluation)
    return folder


def entries_of(path: Path) -> dict[str, Entry]:
    return {entry.group: entry for entry in recordings(path)}


def test_an_audioset_segment_has_class_names_and_a_group(tmp_path: Path) -> None:
    """The group is the video."""
    write_recording(audioset(tmp_path) / "audio" / "--PJHxphWEs_30.000.wav", noise(0.1))
    entries = entries_of(tmp_path)
    assert entries["--PJHxphWEs"] == Entry(
        path=Path("audio/--PJHxphWEs_30.000.wav"),
        label="",
        tags=("Gush", "Speech"),
        split=None,
        group="--PJHxphWEs",
        end_s=10.0,
        source="YouTube --PJHxphWEs from 30 s to 40 s",
    )
    assert entries["-0xzrMun0Rs"].label == "Male speech, man speaking"


@pytest.mark.parametrize(
    "name", ["V_2.5_3.5", "V_2.5", "V_2.500_3.500", "V_2500_3500", "V_2500", "YV", "V", "YV_2.500"]
)
def test_audio_is_found_by_the_names_in_use(tmp_path: Path, name: str) -> None:
    audioset(tmp_path, "V, 2.500, 3.500, /m/09x0r\n")
    write_recording(tmp_path / "some" / "where" / f"{name}.wav", noise(1.0))
    entry = entries_of(tmp_path)["V"]
    assert (entry.path, entry.start_s, entry.end_s) == (Path(f"some/where/{name}.wav"), 0.0, 1.0)


def test_a_file_of_the_whole_video_is_cut_at_its_segment(tmp_path: Path) -> None:
    audioset(tmp_path, "V, 2.500, 3.500, /m/09x0r\n")
    write_recording(tmp_path / "V.wav", noise(6.0))
    entry = entries_of(tmp_path)["V"]
    assert (entry.start_s, entry.end_s) == (2.5, 3.5)


def test_audioset_rejects_missing_audio_and_tests_on_eval(tmp_path: Path) -> None:
    source = audioset(tmp_path / "s", evaluation="E, 0.000, 0.500, /m/09x0r\n")
    for name in ("-0xzrMun0Rs", "E"):
        write_recording(source / f"{name}.wav", noise(0.5))
    summary = import_folder(source, tmp_path / "c", ImportOptions(clip_s=0.5))
    assert summary.corpus.manifest.rows == {"train": 1, "test": 1}
    assert (tmp_path / "c" / "rejected.csv").read_text().splitlines()[1:] == [
        "--PJHxphWEs_30,there is no such file,AudioError"
    ]


def test_only_the_table_that_is_named_is_imported(tmp_path: Path) -> None:
    source = audioset(tmp_path, evaluation="E, 0.000, 0.500, /m/09x0r\n")
    assert entries_of(source / "eval_segments.csv").keys() == {"E"}
    assert entries_of(source).keys() == {"E", "--PJHxphWEs", "-0xzrMun0Rs"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "V, 0.0, 10.0",
            "line 1: 'V, 0.0, 10.0' is not `YTID, start_seconds, end_seconds, positive_labels`",
        ),
        ("V, 10.0, 0.0, /m/09x0r", "is not `YTID"),
        ("V, zero, 10.0, /m/09x0r", "is not `YTID"),
        ("V, nan, 10.0, /m/09x0r", "is not `YTID"),
        (
            'A, 0.0, 1.0, "/m/09x0r"\nV, 0.0, 1.0, "/m/09x0r\nW, 0.0, 1.0, "/m/09x0r"',
            "line 2 cannot be read",
        ),
        ('A, 0.0, 1.0, /m/09x0r\nV, 0.0, 1.0, "/m/09x0r', "line 2 cannot be read"),
        ("V, 0.0, 10.0, /m/nothing", "line 1: unknown class '/m/nothing': it is not in"),
    ],
)
def test_an_unusable_segment_is_one_sentence_with_its_place(
    tmp_path: Path, line: str, message: str
) -> None:
    with pytest.raises(CorpusError) as error:
        entries_of(audioset(tmp_path, line + "\n"))
    assert message in str(error.value)
    assert str(tmp_path / "balanced_train_segments.csv") in str(error.value)


def test_a_missing_audioset_table_is_named(tmp_path: Path) -> None:
    (audioset(tmp_path) / "class_labels_indices.csv").unlink()
    with pytest.raises(CorpusError, match=r"there is no file .*class_labels_indices\.csv"):
        entries_of(tmp_path)
    (audioset(tmp_path) / "balanced_train_segments.csv").unlink()
    with pytest.raises(CorpusError, match="has no segment table"):
        entries_of(tmp_path)
    audioset(tmp_path)
    (tmp_path / "class_labels_indices.csv").write_text("index,id,display_name\n0,/m/09x0r,Speech\n")
    with pytest.raises(
        CorpusError,
        match=r"class_labels_indices\.csv has no column mid, only display_name, id, index",
    ):
        entries_of(tmp_path)


ESC50 = """filename,fold,target,category,esc10,src_file,take
1-100032-A-0.wav,1,0,dog,True,100032,A
5-9032-A-3.wav,5,3,cow,False,9032,A
"""


def test_esc50_is_read_from_its_own_table(tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "esc50.csv").write_text(ESC50)
    dog, cow = recordings(tmp_path)
    assert dog == Entry(
        path=Path("audio/1-100032-A-0.wav"),
        label="dog",
        tags=("dog", "esc10"),
        split=None,
        group="freesound 100032",
        source="ESC-50 fold 1, freesound 100032",
        license="CC-BY-NC-3.0",
        fold="1",
        target="0",
    )
    assert (cow.tags, cow.fold, cow.split) == (("cow",), "5", "test")
    (tmp_path / "meta" / "esc50.csv").write_text("filename,fold\na.wav,1\n")
    with pytest.raises(CorpusError, match=r"esc50\.csv has no column target, only filename, fold"):
        entries_of(tmp_path)


def test_a_parquet_table_equals_a_csv(tmp_path: Path) -> None:
    csv, parquet = tmp_path / "a" / "labels.csv", tmp_path / "b" / "labels.parquet"
    csv.parent.mkdir()
    parquet.parent.mkdir()
    csv.write_text("path,labels,split,start,end\nx.wav,b|a,train,0.5,2\ny.wav,c,test,,\n")
    rows = {
        "path": ["x.wav", "y.wav"],
        "labels": [["b", "a"], ["c"]],
        "split": ["train", "test"],
        "start": [0.5, None],
        "end": [2, None],
    }
    pq.write_table(pa.table(rows), parquet)
    expected = [
        Entry(Path("x.wav"), "", ("a", "b"), "train", "x.wav", 0.5, 2.0),
        Entry(Path("y.wav"), "", ("c",), "test", "y.wav"),
    ]
    assert recordings(csv.parent) == recordings(parquet.parent) == expected
    assert recordings(parquet) == expected


def test_a_table_that_is_no_parquet_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "labels.parquet").write_bytes(b"PAR1 it is not")
    with pytest.raises(CorpusError, match=r"labels\.parquet cannot be read as Parquet"):
        entries_of(tmp_path)


def test_the_kind_is_recognised_by_files_or_given(tmp_path: Path) -> None:
    write_recording(tmp_path / "dog" / "a.wav", noise(0.1))
    assert open_source(tmp_path) == ClassFolders(tmp_path)
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "esc50.csv").write_text(ESC50)
    assert open_source(tmp_path) == Esc50(tmp_path)
    audioset(tmp_path)
    assert open_source(tmp_path) == AudioSet(tmp_path)
    (tmp_path / "labels.csv").write_text("path,label\ndog/a.wav,dog\n")
    assert open_source(tmp_path) == LabelTable(tmp_path / "labels.csv")
    assert open_source(tmp_path, "esc50") == Esc50(tmp_path)
    assert open_source(tmp_path, "folder") == ClassFolders(tmp_path)


@dataclass(frozen=True)
class OneTone:
    """Format of a folder with `tone.wav`."""

    folder: Path

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return (path / "tone.wav").is_file()

    @classmethod
    def at(cls, path: Path) -> OneTone:
        return cls(path)

    def entries(self) -> Iterator[Entry]:
        yield Entry(Path("tone.wav"), "tone", ("tone",), None, "tone")


def test_a_new_format_is_one_class_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recording(tmp_path / "s" / "tone.wav", noise(0.5))
    monkeypatch.setattr(detect, "SOURCES", {"tone": OneTone, **detect.SOURCES})
    assert open_source(tmp_path / "s") == OneTone(tmp_path / "s")
    summary = import_source(
        open_source(tmp_path / "s", "tone"), tmp_path / "c", ImportOptions(clip_s=0.5)
    )
    assert summary.corpus.manifest.label_rows == {"tone": 1}


def test_an_unknown_kind_is_an_error_with_the_kinds(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="unknown kind of source 'gtzan': use one of labels, audioset, esc50"
    ):
        open_source(tmp_path, "gtzan")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("labels", "has no labels.csv or labels.tsv or labels.parquet: add one"),
        ("audioset", r"there is no file .*class_labels_indices\.csv"),
        ("esc50", r"there is no file .*esc50\.csv"),
    ],
)
def test_a_missing_label_file_is_named(tmp_path: Path, kind: str, message: str) -> None:
    write_recording(tmp_path / "dog" / "a.wav", noise(0.1))
    with pytest.raises(CorpusError, match=message):
        list(open_source(tmp_path, kind).entries())


def test_given_splits_remain_and_the_others_are_drawn() -> None:
    given = [Entry(Path(f"t{index}"), "", (), "test", f"t{index}") for index in range(50)]
    free = [Entry(Path(f"f{index}"), "", (), None, f"f{index}") for index in range(100)]
    entries = with_splits(given + free, 0.05, 0)
    assert [entry.split for entry in entries[:50]] == ["test"] * 50
    assert sorted(str(entry.split) for entry in entries[50:]) == ["dev"] * 5 + ["train"] * 95
    assert groups_in_several_splits(entries) == 0


def test_groups_that_a_source_divides_are_counted() -> None:
    entries = [
        Entry(Path(str(index)), "", (), split, "speaker") for index, split in enumerate(SPLITS)
    ]
    assert groups_in_several_splits([*entries, Entry(Path("4"), "", (), "train", "other")]) == 1
