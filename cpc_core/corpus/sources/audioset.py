"""AudioSet (Gemmeke et al. 2017): segment tables, class names, and the audio that was fetched."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cpc_core.audio import duration_s
from cpc_core.corpus.sources.entry import Entry, Remark
from cpc_core.corpus.sources.folder import audio_files
from cpc_core.corpus.sources.rows import read_rows, require_columns
from cpc_core.errors import AudioError, CorpusError, TableError

CLASSES_NAME = "class_labels_indices.csv"
SEGMENTS_PATTERN = "*segments*.csv"

_SLACK_S = 1.0
"""Length beyond its segment from which a file counts as the whole video."""


@dataclass(frozen=True)
class AudioSet:
    """Segments of YouTube videos with any number of labels each.

    The folder contains class_labels_indices.csv and segment tables as they are published; a table
    whose name begins with `eval` is the test split, the others are split by a draw, as section 3.2
    of the paper does. Audio is found anywhere below the folder by its name: the video's id, with or
    without `Y` before it and the segment's start, or start and end, behind it, in seconds or
    milliseconds (`ID_30.wav`, `ID_30.000_40.000.flac`, `ID_30000_40000.m4a`, `YID.mp3`). A file
    that is named by the id alone and is longer than its segment is the whole video: the segment is
    cut from it.

    Attributes:
        folder: The folder.
        tables: Segment tables; if empty, all in the folder.
    """

    folder: Path
    tables: tuple[Path, ...] = ()

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """True for a folder with segments or class names, or a segment table in such a folder."""
        if path.is_dir():
            # Segments alone are enough: that their class names are missing is then the message.
            return (path / CLASSES_NAME).is_file() or any(path.glob(SEGMENTS_PATTERN))
        return (path.parent / CLASSES_NAME).is_file() and path.match(SEGMENTS_PATTERN)

    @classmethod
    def at(cls, path: Path) -> AudioSet:
        """All segment tables of a folder, or one of them."""
        return cls(path) if path.is_dir() else cls(path.parent, (path,))

    def entries(self) -> Iterator[Entry | Remark]:
        """See `Source`.

        Raises:
            CorpusError: Also if there is no segment table.
        """
        names = _class_names(self.folder / CLASSES_NAME)
        yield Remark(Path(CLASSES_NAME))
        tables = self.tables or tuple(sorted(self.folder.glob(SEGMENTS_PATTERN)))
        if not tables:
            raise CorpusError(
                f"{self.folder} has no segment table: "
                "put balanced_train_segments.csv or another one there"
            )
        files: dict[str, list[Path]] = defaultdict(list)
        for path in audio_files(self.folder):
            files[path.stem].append(path)
        for table in tables:
            yield Remark(table.relative_to(self.folder))
            for line, row in _segments(table):
                yield self._entry(table, line, row, names, files)

    def _entry(
        self,
        table: Path,
        line: str,
        row: Sequence[str],
        names: Mapping[str, str],
        files: Mapping[str, list[Path]],
    ) -> Entry:
        video, start_s, end_s, mids = _parse_segment(line, row)
        if unknown := [mid for mid in mids if mid not in names]:
            raise TableError(
                f"{line}: unknown class {unknown[0]!r}: it is not in {self.folder / CLASSES_NAME}"
            )
        tags = tuple(sorted({names[mid] for mid in mids}))
        path, is_video = self._file(video, start_s, end_s, files)
        return Entry(
            path=path,
            label=tags[0] if len(tags) == 1 else "",
            tags=tags,
            split="test" if table.name.startswith("eval") else None,
            group=video,
            start_s=start_s if is_video else 0.0,
            end_s=end_s if is_video else end_s - start_s,
            source=f"YouTube {video} from {start_s:g} s to {end_s:g} s",
        )

    def _file(
        self, video: str, start_s: float, end_s: float, files: Mapping[str, list[Path]]
    ) -> tuple[Path, bool]:
        """The segment's file, and True if it is the whole video.

        A segment without a file has a path that does not exist.
        """
        for prefix in (video, f"Y{video}"):
            for stem in (f"{prefix}{ending}" for ending in _endings(start_s, end_s)):
                if stem in files:
                    return files[stem][0], False
            if prefix in files:
                path = files[prefix][0]
                return path, self._exceeds(path, end_s - start_s + _SLACK_S)
        return Path(f"{video}_{start_s:g}"), False

    def _exceeds(self, path: Path, seconds: float) -> bool:
        try:
            return duration_s(self.folder / path) > seconds
        except AudioError:
            return False


def _class_names(path: Path) -> dict[str, str]:
    names = {}
    for _, row in read_rows(path):
        require_columns(path, row, ["mid", "display_name"])
        names[row["mid"]] = row["display_name"]
    return names


def _segments(table: Path) -> Iterator[tuple[str, list[str]]]:
    """Rows of a segment table, which has comments for a header and spaces after its commas."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True, strict=True)
            begin = 1
            try:
                for row in reader:
                    if row and not row[0].startswith("#"):
                        yield f"{table}, line {begin}", row
                    begin = reader.line_num + 1
            except csv.Error as error:
                raise TableError(
                    f"{table}, line {begin} cannot be read ({error}): close its quote"
                ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(
            f"{table} cannot be read as UTF-8 CSV ({error}): fetch it again"
        ) from error


def _parse_segment(line: str, row: Sequence[str]) -> tuple[str, float, float, list[str]]:
    try:
        video, start, end, mids = row
        start_s, end_s = float(start), float(end)
    except ValueError:
        start_s, end_s, video, mids = 0.0, 0.0, "", ""
    if not 0 <= start_s < end_s < float("inf"):
        raise TableError(
            f"{line}: {', '.join(row)!r} is not "
            "`YTID, start_seconds, end_seconds, positive_labels`: correct the line"
        )
    return video, start_s, end_s, [mid for mid in mids.split(",") if mid]


def _endings(start_s: float, end_s: float) -> Iterator[str]:
    """Parts of a file's name that may follow the video's id."""
    for write in (lambda s: f"{s:g}", lambda s: f"{s:.3f}", lambda s: f"{round(s * 1000)}"):
        yield f"_{write(start_s)}_{write(end_s)}"
        yield f"_{write(start_s)}"
