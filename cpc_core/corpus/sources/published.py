"""Data sets that are recognised by the tables they are published with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cpc_core.corpus.manifest import Split
from cpc_core.corpus.sources.entry import Entry, Remark
from cpc_core.corpus.sources.rows import read_rows, require_columns
from cpc_core.errors import TableError

_URBAN_META = Path("metadata") / "UrbanSound8K.csv"
_URBAN_TEST_FOLD = "10"

_FSD_META = Path("FSD50K.ground_truth")
_FSD_SPLITS: dict[str, Split] = {"train": "train", "val": "dev"}

_SCENE_TABLES = ("meta.csv", "meta.txt")
_SCENE_COLUMNS = ("filename", "scene_label", "identifier", "source_label")
_SCENE_SETUP = Path("evaluation_setup")


@dataclass(frozen=True)
class UrbanSound8K:
    """Excerpts of up to 4 s in ten classes of urban sounds (Salamon et al. 2014).

    Excerpts of one Freesound recording are a group, and lie in one of the ten published folds. The
    last fold is the test split here, and dev is drawn from the others.

    Attributes:
        folder: Folder with `metadata/UrbanSound8K.csv`, and `audio/fold1` to `audio/fold10`.
    """

    folder: Path

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """True for a folder with the table."""
        return (path / _URBAN_META).is_file()

    @classmethod
    def at(cls, path: Path) -> UrbanSound8K:
        """The data set in a folder, or around its table."""
        return cls(path if path.is_dir() else path.parent.parent)

    def entries(self) -> Iterator[Entry | Remark]:
        """See `Source`."""
        table = self.folder / _URBAN_META
        for _, row in read_rows(table):
            require_columns(table, row, ["slice_file_name", "fsID", "fold", "classID", "class"])
            fold = row["fold"]
            yield Entry(
                path=Path("audio") / f"fold{fold}" / row["slice_file_name"],
                label=row["class"],
                tags=(row["class"],),
                split="test" if fold == _URBAN_TEST_FOLD else None,
                group=f"freesound {row['fsID']}",
                source=f"UrbanSound8K fold {fold}, freesound {row['fsID']}",
                fold=fold,
                target=row["classID"],
            )
        note = f"fold {_URBAN_TEST_FOLD} is the test split; dev is drawn from the others"
        yield Remark(_URBAN_META, note)


@dataclass(frozen=True)
class Fsd50k:
    """Freesound clips with any number of AudioSet's labels (Fonseca et al. 2022).

    `dev.csv` names the published training and validation clips, `eval.csv` those of the test.

    Attributes:
        folder: Folder with `FSD50K.ground_truth`, `FSD50K.dev_audio` and `FSD50K.eval_audio`.
    """

    folder: Path

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """True for a folder with one of the two tables."""
        return any((path / _FSD_META / f"{name}.csv").is_file() for name in ("dev", "eval"))

    @classmethod
    def at(cls, path: Path) -> Fsd50k:
        """The data set in a folder, or around one of its tables."""
        return cls(path if path.is_dir() else path.parent.parent)

    def entries(self) -> Iterator[Entry | Remark]:
        """See `Source`.

        Raises:
            TableError: Also if there is none of the two tables.
        """
        if not self.recognises(self.folder):
            raise TableError(f"{self.folder} has no {_FSD_META}/dev.csv or eval.csv: add one")
        for name in ("dev", "eval"):
            table = self.folder / _FSD_META / f"{name}.csv"
            if not table.is_file():
                yield Remark(_FSD_META, f"has no {name}.csv, so its clips are left out")
                continue
            for line, row in read_rows(table):
                require_columns(table, row, ["fname", "labels", *(["split"] * (name == "dev"))])
                tags = tuple(sorted(row["labels"].split(",")))
                if name == "dev" and row["split"] not in _FSD_SPLITS:
                    raise TableError(f"{line}: unknown split {row['split']!r}: write train or val")
                yield Entry(
                    path=Path(f"FSD50K.{name}_audio") / f"{row['fname']}.wav",
                    label=tags[0] if len(tags) == 1 else "",
                    tags=tags,
                    split=_FSD_SPLITS[row["split"]] if name == "dev" else "test",
                    group=f"freesound {row['fname']}",
                    source=f"FSD50K, freesound {row['fname']}",
                )
            yield Remark(table.relative_to(self.folder))


@dataclass(frozen=True)
class AcousticScenes:
    """Acoustic scenes of the DCASE challenges (TUT and TAU Urban Acoustic Scenes).

    Recordings of one place are a group. Those that the published set-up of the first fold evaluates
    or tests are the test split; dev is drawn from the others.

    Attributes:
        folder: Folder with `meta.csv` or `meta.txt`, and `evaluation_setup`.
    """

    folder: Path

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """True for a folder with such a table beside its set-up, or with its columns."""
        for table in (path / name for name in _SCENE_TABLES):
            if table.is_file():
                with table.open("rb") as file:
                    start = file.readline(200)
                return start.startswith(b"filename\tscene_label") or (path / _SCENE_SETUP).is_dir()
        return False

    @classmethod
    def at(cls, path: Path) -> AcousticScenes:
        """The data set in a folder, or in the folder of its table."""
        return cls(path if path.is_dir() else path.parent)

    def entries(self) -> Iterator[Entry | Remark]:
        """See `Source`."""
        tables = [self.folder / name for name in _SCENE_TABLES if (self.folder / name).is_file()]
        if not tables:
            raise TableError(f"{self.folder} has no {' or '.join(_SCENE_TABLES)}: put it there")
        held_out: set[str] = set()
        for name in ("evaluate", "test"):
            for ending in ("csv", "txt"):
                setup = _SCENE_SETUP / f"fold1_{name}.{ending}"
                if (self.folder / setup).is_file():
                    held_out |= {row["filename"] for _, row in self._rows(self.folder / setup)}
                    yield Remark(setup)
        for line, row in self._rows(tables[0]):
            require_columns(tables[0], row, _SCENE_COLUMNS[:2])
            name, label = row["filename"], row["scene_label"]
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise TableError(f"{line}: {name!r} is not a path below {self.folder}: correct it")
            yield Entry(
                path=Path(name),
                label=label,
                tags=(label,),
                split="test" if name in held_out else None,
                group=row.get("identifier") or name,
                source=f"DCASE scenes, {row.get('identifier') or name}",
            )
        note = "the first fold's evaluation is the test split; dev is drawn from the others"
        yield Remark(Path(tables[0].name), note if held_out else "has no published test split here")

    def _rows(self, table: Path) -> Iterator[tuple[str, dict[str, str]]]:
        """Rows of a table, which has a header since 2018."""
        with table.open("rb") as file:
            start = file.readline(2000)
        fields = start.rstrip(b"\r\n").count(b"\t") + 1
        named = start.startswith(b"filename")
        yield from read_rows(table, () if named else _SCENE_COLUMNS[:fields])
