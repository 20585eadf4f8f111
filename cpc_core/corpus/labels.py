"""What a source folder says about its recordings: its labels.csv, or else its class sub-folders."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from cpc_core.audio import printable
from cpc_core.corpus.manifest import SPLITS, Split
from cpc_core.errors import CorpusError

LABELS_NAME = "labels.csv"

AUDIO_SUFFIXES = frozenset(
    (".aac", ".aif", ".aiff", ".au", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".w64", ".wav", ".wma")
)
"""Files of a folder without labels.csv that count as recordings; what libsndfile cannot read of these is reported."""


@dataclass(frozen=True)
class Entry:
    """One recording to import, or one part of a recording.

    Attributes:
        path: Below the source folder.
        label: Primary label, empty where there is none.
        tags: All labels, sorted, `label` included.
        split: The split it names; None where the source names none.
        group: What a drawn split must not separate; the path where none is given.
        start_s: Where the part begins.
        end_s: Where it ends; None for the end of the recording.
        source: Where the recording came from, in words.
        license: Its licence.
    """

    path: Path
    label: str
    tags: tuple[str, ...]
    split: Split | None
    group: str
    start_s: float = 0.0
    end_s: float | None = None
    source: str = ""
    license: str = ""


def read_entries(source: Path) -> list[Entry]:
    """The recordings of a folder: the rows of its labels.csv, or every audio file with its first sub-folder as its label.

    Raises:
        CorpusError: There is no folder, no audio in it, or its labels.csv is unusable; names line and value.
    """
    if not source.is_dir():
        raise CorpusError(f"there is no folder {source}: name a folder of recordings")
    if (labels := source / LABELS_NAME).exists():
        return _read_labels(labels)
    entries = [_from_folder(path) for path in _audio_files(source)]
    if not entries:
        raise CorpusError(f"{source} has neither a {LABELS_NAME} nor audio files: put recordings into one sub-folder per class")
    return entries


def _from_folder(path: Path) -> Entry:
    label = printable(Path(path.parts[0])) if len(path.parts) > 1 else ""
    return Entry(path, label, (label,) if label else (), None, printable(path))


def _audio_files(source: Path) -> list[Path]:
    files = []
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if not name.startswith(".")]
        audible = (name for name in names if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES)
        files += [(Path(folder) / name).relative_to(source) for name in audible]
    return sorted(files)


def _read_labels(path: Path) -> list[Entry]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            _require_columns(path, reader.fieldnames or ())
            entries = [_entry(path, reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path} cannot be read as UTF-8 CSV ({error}): save it as UTF-8 with commas") from error
    if not entries:
        raise CorpusError(f"{path} lists no recordings: add one row per recording")
    if len({entry.split is None for entry in entries}) > 1:
        raise CorpusError(f"{path} names a split in some rows only: fill in the column split, or drop it to have one drawn")
    return entries


def _require_columns(path: Path, columns: object) -> None:
    present = set(columns) if isinstance(columns, (list, tuple)) else set()
    if "path" not in present:
        raise CorpusError(f"{path} has no column path, only {', '.join(sorted(present)) or 'nothing'}: add it")
    if not present & {"label", "tags"}:
        raise CorpusError(f"{path} has neither a column label nor a column tags: add one of them")


def _entry(labels: Path, line: int, row: dict[str, str]) -> Entry:
    place = f"{labels}, line {line}"
    path = Path(row["path"])
    if not row["path"] or path.is_absolute() or ".." in path.parts:
        raise CorpusError(f"{place}: path {row['path']!r} is not a path below {labels.parent}: write paths relative to that folder")
    label = row.get("label", "").strip()
    tags = {tag.strip() for tag in row.get("tags", "").split("|")} | {label}
    start_s, end_s = _seconds(place, row, "start_s"), _seconds(place, row, "end_s")
    if end_s is not None and end_s <= (start_s or 0.0):
        raise CorpusError(f"{place}: end_s {end_s:g} is not after start_s {start_s or 0.0:g}: swap them or leave end_s empty")
    return Entry(
        path=path,
        label=label,
        tags=tuple(sorted(tags - {""})),
        split=_split(place, row.get("split", "").strip()),
        group=row.get("group", "").strip() or printable(path),
        start_s=start_s or 0.0,
        end_s=end_s,
        source=row.get("source", ""),
        license=row.get("license", ""),
    )


def _split(place: str, name: str) -> Split | None:
    for split in SPLITS:
        if name == split:
            return split
    if name:
        raise CorpusError(f"{place}: unknown split {name!r}: use one of {', '.join(SPLITS)}")
    return None


def _seconds(place: str, row: dict[str, str], column: str) -> float | None:
    text = row.get(column, "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise CorpusError(f"{place}: {column} {text!r} is not a number of seconds: write it like 12.5 or leave it empty")
    return seconds
