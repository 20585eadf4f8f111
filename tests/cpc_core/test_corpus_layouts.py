from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cpc_core.corpus.audit.run import audit
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.importing import shard_writer
from cpc_core.corpus.importing.run import ImportSummary, import_folder
from cpc_core.corpus.manifest import CLIP_SCHEMA, ImportOptions
from cpc_core.corpus.sources.detect import open_source
from cpc_core.errors import CorpusError, TableError
from tests.helpers.recordings import listed, noise, recordings, write_recording

SHARDED = "labels.list.element"
SHORT = ImportOptions(clip_s=0.5)


def tones(folder: Path, *paths: str) -> Path:
    for number, path in enumerate(paths):
        write_recording(folder / path, noise(0.5, number))
    return folder


def splits(folder: Path) -> dict[str, tuple[str, str | None]]:
    return {str(entry.path): (entry.label, entry.split) for entry in recordings(folder)}


def imported(tmp_path: Path, out: str = "c") -> ImportSummary:
    return import_folder(tmp_path / "s", tmp_path / out, SHORT)


@pytest.mark.parametrize(
    ("train", "dev", "test"),
    [
        ("train", "valid", "test"),
        ("Training", "Validation", "Testing"),
        ("train", "dev", "eval"),
        ("train", "eval", "test"),
        ("TRAIN", "VAL", "EVALUATION"),
        ("train_set", "dev_set", "test_set"),
        ("train-clean-100", "dev-clean", "test-other"),
    ],
)
def test_folders_named_like_splits_are_splits(
    tmp_path: Path, train: str, dev: str, test: str
) -> None:
    named = {train: "train", dev: "dev", test: "test"}
    paths = [f"{name}/{label}/1.wav" for name in named for label in ("dog", "cat")]
    expected = {path: (path.split("/")[1], named[path.split("/")[0]]) for path in paths}
    assert splits(tones(tmp_path / "s", *paths)) == expected
    assert any(
        "the folders are splits and no labels" in each for each in imported(tmp_path).remarks
    )


def test_splits_may_lie_below_the_classes_or_in_one_folder(tmp_path: Path) -> None:
    below = tones(tmp_path / "a", "dog/train/1.wav", "dog/test/2.wav", "cat/train/1.wav")
    assert splits(below) == {
        "dog/train/1.wav": ("dog", None),
        "dog/test/2.wav": ("dog", "test"),
        "cat/train/1.wav": ("cat", None),
    }
    wrapped = tones(tmp_path / "b", "data/train/dog/1.wav", "data/dev/cat/deep/1.wav")
    assert splits(wrapped) == {
        "data/train/dog/1.wav": ("dog", "train"),
        "data/dev/cat/deep/1.wav": ("cat", "dev"),
    }
    assert splits(tones(tmp_path / "c", "train/1.wav", "valid/2.wav")) == {
        "train/1.wav": ("", "train"),
        "valid/2.wav": ("", "dev"),
    }


def test_dev_is_drawn_from_train_where_no_folder_is_dev(tmp_path: Path) -> None:
    tones(tmp_path / "s", *(f"train/dog/{index}.wav" for index in range(10)), "test/dog/x.wav")
    assert imported(tmp_path).corpus.manifest.rows == {"train": 9, "dev": 1, "test": 1}


@pytest.mark.parametrize(
    ("name", "cure"), [("a.wav", "name the folder that it is in"), ("a.zip", "unpack it first")]
)
def test_a_file_that_is_no_source_is_named(tmp_path: Path, name: str, cure: str) -> None:
    (tmp_path / name).write_bytes(b"\0" * 100)
    with pytest.raises(TableError, match=f"is no folder of recordings and no table: {cure}"):
        recordings(tmp_path / name)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    source = tones(tmp_path, "train/1.wav", "dog/1.wav", "train_station/1.wav")
    assert {label for label, _ in splits(source).values()} == {"train", "dog", "train_station"}
    assert {split for _, split in splits(source).values()} == {None}


@pytest.mark.parametrize(
    "paths",
    [
        ["train/dog/1.wav", "test/dog/1.wav", "extra/dog/1.wav"],
        ["train/dog/1.wav", "test/dog/1.wav", "1.wav"],
        ["dog/1.wav", "cat/1.wav", "test/dog/1.wav"],
    ],
)
def test_splits_beside_other_folders_are_refused(tmp_path: Path, paths: list[str]) -> None:
    with pytest.raises(TableError, match=r"named like splits, but .* is not: move it away, or"):
        splits(tones(tmp_path, *paths))


def test_every_file_is_imported_rejected_or_counted(tmp_path: Path) -> None:
    tones(tmp_path / "s", "dog/a.wav", "dog/b.WAV", "cat/c.aifc", ".git/d.wav", "cat/.e.wav")
    for name in ("dog/f.mp4", "dog/g.amr", "cat/h.txt", "cat/i.TXT", "README", "cat/meta.csv"):
        (tmp_path / "s" / name).write_text("nothing")
    os.mkfifo(tmp_path / "s" / "dog" / "pipe")
    summary = imported(tmp_path)
    totals = summary.corpus.manifest.totals
    rejected = {row["path"] for row in listed(tmp_path / "c" / "rejected.csv")}
    assert (totals.recordings, rejected) == (5, {"dog/f.mp4", "dog/g.amr"})
    ignored = {".csv": 1, ".txt": 2, "hidden": 2, "no ending": 2}
    assert summary.corpus.manifest.ignored == ignored
    assert summary.remarks == (
        "files left out by their endings: 1 .csv, 2 .txt, 2 hidden, 2 no ending (hidden: named "
        "with a dot)",
        "tables that were not used: cat/meta.csv; one with the columns path, label and perhaps "
        "split is used if it is named instead of the folder, or is called labels.csv",
    )


def test_what_was_ignored_does_not_change_the_corpus(tmp_path: Path) -> None:
    tones(tmp_path / "s", "dog/a.wav", "cat/b.wav")
    before = imported(tmp_path).corpus.hash
    (tmp_path / "s" / "README.txt").touch()
    after = import_folder(tmp_path / "s", tmp_path / "c", SHORT, overwrite=True).corpus
    assert (after.hash, after.manifest.ignored) == (before, {".txt": 1})


def test_a_corpus_within_its_source_is_no_part_of_it(tmp_path: Path) -> None:
    tones(tmp_path / "dog", "a.wav", "b.wav")
    for _ in range(2):
        summary = import_folder(tmp_path, tmp_path / "corpus", SHORT, overwrite=True)
        assert summary.corpus.manifest.ignored == {}


def test_a_folder_of_other_files_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(CorpusError, match=r"only files of other kinds \(\.txt\): put recordings"):
        recordings(tmp_path)


def test_audio_that_no_row_names_is_counted(tmp_path: Path) -> None:
    tones(tmp_path / "s", "a.wav", "b.wav", "c.flac")
    (tmp_path / "s" / "labels.csv").write_text("path,label\na.wav,dog\n")
    summary = imported(tmp_path)
    assert summary.corpus.manifest.ignored == {".flac": 1, ".wav": 1}
    assert "audio files that the table does not list, left out: 1 .flac, 1 .wav" in summary.remarks


def test_links_are_followed_once(tmp_path: Path) -> None:
    tones(tmp_path / "elsewhere", "x/1.wav", "2.wav")
    source = tones(tmp_path / "s", "dog/a.wav", "zoo/b.wav")
    (source / "linked").symlink_to(tmp_path / "elsewhere")
    (source / "again").symlink_to(tmp_path / "elsewhere" / "x")
    (source / "dog" / "loop").symlink_to(source)
    (source / "cat").symlink_to("zoo")
    (source / "zoo" / "a.wav").symlink_to("../dog/a.wav")
    (source / "zoo" / "out.wav").symlink_to(tmp_path / "elsewhere" / "2.wav")
    assert set(splits(source)) == {"dog/a.wav", "zoo/b.wav", "again/1.wav", "linked/2.wav"}
    summary = imported(tmp_path)
    assert summary.corpus.manifest.ignored == {"link": 5}
    assert "links to what is read at another place below the source, left out: 5" in summary.remarks


def test_two_links_to_one_file_outside_are_one_recording(tmp_path: Path) -> None:
    tones(tmp_path, "elsewhere.wav", "s/dog/a.wav")
    for name in ("b.wav", "c.wav"):
        (tmp_path / "s" / "dog" / name).symlink_to(tmp_path / "elsewhere.wav")
    assert set(splits(tmp_path / "s")) == {"dog/a.wav", "dog/b.wav"}


URBAN = """slice_file_name,fsID,start,end,salience,fold,classID,class
1.wav,7,0.0,3.0,1,1,3,dog_bark
2.wav,8,0.0,3.0,1,10,1,car_horn
"""


def test_urbansound8k_has_its_classes_and_folds(tmp_path: Path) -> None:
    tones(tmp_path / "s", "audio/fold1/1.wav", "audio/fold10/2.wav", "audio/fold2/3.wav")
    (tmp_path / "s" / "metadata").mkdir()
    (tmp_path / "s" / "metadata" / "UrbanSound8K.csv").write_text(URBAN)
    dog, horn = recordings(tmp_path / "s")
    assert (dog.path, dog.label, dog.fold, dog.target) == (
        Path("audio/fold1/1.wav"),
        "dog_bark",
        "1",
        "3",
    )
    assert (dog.split, horn.split, dog.group) == (None, "test", "freesound 7")
    assert imported(tmp_path).corpus.manifest.ignored == {".wav": 1}


def test_fsd50k_has_its_labels_and_splits(tmp_path: Path) -> None:
    source = tones(
        tmp_path / "s",
        "FSD50K.dev_audio/1.wav",
        "FSD50K.dev_audio/2.wav",
        "FSD50K.eval_audio/3.wav",
    )
    truth = source / "FSD50K.ground_truth"
    truth.mkdir()
    (truth / "dev.csv").write_text(
        'fname,labels,mids,split\n1,"Guitar,Music","/m/1,/m/2",train\n2,Bark,/m/3,val\n'
    )
    (truth / "eval.csv").write_text("fname,labels,mids\n3,Bark,/m/3\n")
    (truth / "vocabulary.csv").write_text("0,Bark,/m/3\n")
    guitar, bark, held_out = recordings(source)
    assert (guitar.label, guitar.tags, guitar.split) == ("", ("Guitar", "Music"), "train")
    assert (bark.label, bark.split, held_out.split) == ("Bark", "dev", "test")
    summary = imported(tmp_path)
    assert summary.corpus.manifest.rows == {"train": 1, "dev": 1, "test": 1}
    assert summary.corpus.manifest.ignored == {".csv": 1}
    (truth / "dev.csv").write_text("fname,labels,mids,split\n1,Bark,/m/1,valid\n")
    with pytest.raises(TableError, match=r"dev\.csv, line 2: unknown split 'valid'"):
        recordings(source)


@pytest.mark.parametrize("header", [True, False])
def test_dcase_scenes_have_their_places_and_test_split(tmp_path: Path, header: bool) -> None:
    source = tones(tmp_path / "s", "audio/a-1.wav", "audio/b-2.wav")
    ending = "csv" if header else "txt"
    first = "filename\tscene_label\tidentifier\tsource_label\n" if header else ""
    (source / f"meta.{ending}").write_text(
        f"{first}audio/a-1.wav\tairport\tlisbon-1\ta\naudio/b-2.wav\tbus\tlyon-2\ta\n"
    )
    (source / "evaluation_setup").mkdir()
    for name, row in (("train", "audio/a-1.wav\tairport"), ("evaluate", "audio/b-2.wav\tbus")):
        (source / "evaluation_setup" / f"fold1_{name}.{ending}").write_text(
            ("filename\tscene_label\n" if header else "") + row + "\n"
        )
    airport, bus = recordings(source)
    assert (airport.label, airport.group, airport.split) == ("airport", "lisbon-1", None)
    assert (bus.label, bus.group, bus.split) == ("bus", "lyon-2", "test")


def test_a_data_set_in_a_folder_of_its_archive_is_recognised(tmp_path: Path) -> None:
    source = tones(tmp_path / "s", "ESC-50-master/audio/1-1-A-0.wav")
    (source / "ESC-50-master" / "meta").mkdir()
    (source / "ESC-50-master" / "meta" / "esc50.csv").write_text(
        "filename,fold,target,category,esc10,src_file,take\n1-1-A-0.wav,1,0,dog,True,1,A\n"
    )
    assert splits(source) == {"ESC-50-master/audio/1-1-A-0.wav": ("dog", None)}
    assert imported(tmp_path).corpus.manifest.ignored == {}
    assert open_source(source).folder == source
    tones(source, "more/1.wav")
    assert {label for label, _ in splits(source).values()} == {"ESC-50-master", "more"}


@pytest.mark.parametrize(
    ("paths", "remark"),
    [
        (["audio/1.wav", "audio/2.wav"], "every recording has the label 'audio'"),
        (["fold1/1.wav", "fold2/2.wav"], "the labels look like folds (fold1, fold2 …)"),
        (["Dog/1.wav", "dog/2.wav"], "labels that differ in capitals or blanks alone: 'Dog' and "),
        (["1.wav", "2.wav"], "no recording has a label: models can be trained, but no probe"),
        (["dog/1.wav", "cat/2.wav", "3.wav"], "recordings without a label, which no probe is tr"),
    ],
)
def test_labels_that_tell_nothing_are_remarked_on(
    tmp_path: Path, paths: list[str], remark: str
) -> None:
    tones(tmp_path / "s", *paths)
    assert [each for each in imported(tmp_path).remarks if each.startswith(remark)]


def test_lists_of_splits_that_are_not_used_are_named(tmp_path: Path) -> None:
    tones(tmp_path / "s", "up/a.wav", "down/b.wav")
    for name in ("testing_list.txt", "validation_list.txt", "about.txt"):
        (tmp_path / "s" / name).write_text("up/a.wav\n")
    (remark,) = (each for each in imported(tmp_path).remarks if each.startswith("tables"))
    assert "not used: testing_list.txt, validation_list.txt; one with" in remark


def test_folders_that_look_alike_are_one_label(tmp_path: Path) -> None:
    source = tones(tmp_path, "caf\u00e9/1.wav", "cafe\u0301/2.wav")
    assert {label for label, _ in splits(source).values()} == {"caf\u00e9"}


@pytest.mark.parametrize("bad", ["damaged", "dangling", "silent header", "missing"])
def test_dev_is_drawn_among_what_can_be_used(tmp_path: Path, bad: str) -> None:
    """Of 16 recordings the unusable one is the first in the order of the draw."""
    good = [f"{index}.wav" for index in range(15)]
    tones(tmp_path / "s", *good)
    rows = ["path,label,group", *(f"{name},x,{name}" for name in good), "bad.wav,x,c1/bad13.wav"]
    (tmp_path / "s" / "labels.csv").write_text("\n".join(rows) + "\n")
    path = tmp_path / "s" / "bad.wav"
    if bad == "damaged":
        path.write_text("x")
    elif bad == "dangling":
        path.symlink_to("nothing.wav")
    elif bad == "silent header":
        write_recording(path, noise(0.0))
    before = import_folder(tmp_path / "s", tmp_path / "c", SHORT)
    assert before.corpus.manifest.rows == {"train": 14, "dev": 1}
    assert before.corpus.manifest.totals.rejected == 1


def test_a_usable_recording_remains_for_training(tmp_path: Path) -> None:
    tones(tmp_path / "s", "x/a.wav", "x/b.wav")
    for index in range(8):
        (tmp_path / "s" / "x" / f"bad{index}.wav").write_text("x")
    for seed in range(3):
        options = ImportOptions(clip_s=0.5, dev_fraction=0.5, seed=seed)
        summary = import_folder(tmp_path / "s", tmp_path / f"c{seed}", options)
        assert summary.corpus.manifest.rows == {"train": 1, "dev": 1}


def test_labels_that_no_training_recording_has_are_named(tmp_path: Path) -> None:
    tones(tmp_path / "s", "train/dog/1.wav", "train/cat/1.wav", "valid/dog/1.wav", "valid/ox/1.wav")
    (remark,) = (each for each in imported(tmp_path).remarks if each.startswith("labels"))
    assert remark.endswith("so that no probe learns them: ox")


def test_an_import_without_dev_says_what_to_do(tmp_path: Path) -> None:
    tones(tmp_path / "s", "x/a.wav")
    assert [each for each in imported(tmp_path).remarks if each.startswith("no dev clips came out")]


@pytest.mark.parametrize(
    ("train", "dev", "task"),
    [
        (["dog", "cat"], ["dog", "cat"], "scored"),
        (["dog"], ["dog", "cat"], "scored"),
        (["dog", "cat"], ["dog", "dog"], "trivial"),
        (["dog"], ["dog"], "trivial"),
        (["dog"], ["cat"], "none"),
        (["", ""], ["dog", "cat"], "none"),
        (["dog", "cat"], ["", ""], "none"),
        (["", ""], ["", ""], "none"),
        (["", "x", "dog"], ["dog", "cat"], "scored"),
    ],
)
def test_labels_decide_if_a_probe_can_be_scored(
    tmp_path: Path, train: list[str], dev: list[str], task: str
) -> None:
    rows = ["path,label,split"]
    for split, names in (("train", train), ("dev", dev)):
        for number, name in enumerate(names):
            tones(tmp_path / "s", f"{split}{number}.wav")
            rows.append(f"{split}{number}.wav,{name},{split}")
    (tmp_path / "s" / "labels.csv").write_text("\n".join(rows) + "\n")
    assert imported(tmp_path).corpus.probe_task("dev") == task
    assert imported(tmp_path, "d").corpus.probe_task("test") == "none"


def test_a_corpus_of_before_fold_task_and_target_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tones(tmp_path / "s", "dog/1.wav", "cat/2.wav")
    old = pa.schema([each for each in CLIP_SCHEMA if each.name not in ("fold", "task", "target")])
    monkeypatch.setattr(shard_writer, "CLIP_SCHEMA", old)
    small = [name for name in shard_writer._SMALL_COLUMNS if name in {*old.names, SHARDED}]
    monkeypatch.setattr(shard_writer, "_SMALL_COLUMNS", small)
    corpus = imported(tmp_path).corpus
    path = tmp_path / "c" / "manifest.json"
    content = json.loads(path.read_text())
    del content["ignored"], content["sha256"]
    path.write_text(json.dumps(content))
    assert "fold" not in pq.read_schema(tmp_path / "c" / corpus.manifest.shards[0].file).names
    opened = Corpus.open(tmp_path / "c")
    assert opened.hash == corpus.hash
    assert len(opened.read_split("train")) == 1
    assert audit(tmp_path / "c").damages == ()
