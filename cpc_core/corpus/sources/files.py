"""Files below the folder of a source: a walk that passes over none, and a look-up by name."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from cpc_core.audio import printable
from cpc_core.errors import CorpusError

# fmt: off
AUDIO_SUFFIXES = frozenset({
    ".3g2", ".3gp", ".3gpp", ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".asf",
    ".au", ".avi", ".bwf", ".caf", ".dts", ".eac3", ".f4v", ".flac", ".flv", ".gsm", ".m4a",
    ".m4b", ".m4r", ".m4v", ".mka", ".mkv", ".mov", ".mp1", ".mp2", ".mp3", ".mp4", ".mpc",
    ".mpeg", ".mpg", ".nist", ".oga", ".ogg", ".ogv", ".opus", ".ra", ".rf64", ".rm", ".snd",
    ".sph", ".spx", ".tta", ".voc", ".vox", ".w64", ".wav", ".wave", ".webm", ".wma", ".wmv", ".wv",
})
# fmt: on
"""Files that count as recordings where no table names them; undecodable ones are reported."""

HIDDEN, LINK, NO_ENDING = "hidden", "link", "no ending"
"""Kinds of files that are left out and have no ending to be counted by."""


@dataclass(frozen=True)
class Found:
    """File below a source's folder.

    Attributes:
        path: Relative to the folder; a hidden folder, and a link to a folder that is read
            elsewhere, are found as one file.
        is_again: True for a link to what is read at another place below the folder.
    """

    path: Path
    is_again: bool = False

    @property
    def is_audio(self) -> bool:
        """True if its ending is that of a recording, and it is to be read here."""
        return not self.is_again and not self.is_hidden and is_audio(self.path)

    @property
    def is_hidden(self) -> bool:
        """True if its name begins with a dot."""
        return self.path.name.startswith(".")

    @property
    def kind(self) -> str:
        """Its ending in lower case, or `LINK`, `HIDDEN` or `NO_ENDING`."""
        if self.is_again:
            return LINK
        if self.is_hidden:
            return HIDDEN
        return printable(Path(self.path.suffix.lower())) if self.path.suffix else NO_ENDING


def is_audio(path: Path) -> bool:
    """True if the ending is that of a recording."""
    return path.suffix.lower() in AUDIO_SUFFIXES


def walk(folder: Path) -> Iterator[Found]:
    """Every file below a folder. Links are followed, each file and folder once.

    A file has the path without links if it has one. Hidden folders are not entered.

    Raises:
        CorpusError: A folder cannot be listed.
    """
    yield from _Walk(folder).files()


@dataclass
class _Walk:
    folder: Path
    entered: set[tuple[int, int]] = field(default_factory=set)
    linked: set[tuple[int, int]] = field(default_factory=set)
    folder_links: deque[Path] = field(default_factory=deque)
    file_links: list[Path] = field(default_factory=list)

    def files(self) -> Iterator[Found]:
        yield from self._below(Path())
        while self.folder_links:
            yield from self._below(self.folder_links.popleft())
        for path in self.file_links:
            yield Found(path, self._is_again(path))

    def _below(self, top: Path) -> Iterator[Found]:
        pending = [top]
        while pending:
            parent = pending.pop()
            if not self._enters(parent):
                yield Found(parent, is_again=True)
                continue
            inner = []
            for entry in self._listed(parent):
                path = parent / entry.name
                if entry.name.startswith("."):
                    yield Found(path)
                elif entry.is_dir(follow_symlinks=False):
                    inner.append(path)
                elif not entry.is_symlink():
                    yield Found(path)
                elif (self.folder / path).is_dir():
                    self.folder_links.append(path)
                else:
                    self.file_links.append(path)
            pending += reversed(inner)

    def _enters(self, path: Path) -> bool:
        """True at the first visit of a folder."""
        identity = _identity(self.folder / path)
        if identity is None or identity in self.entered:
            return identity is None
        self.entered.add(identity)
        return True

    def _listed(self, path: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.folder / path) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise CorpusError(
                f"the folder {error.filename} cannot be listed ({error.strerror}): "
                "change its permissions or move it away"
            ) from error

    def _is_again(self, link: Path) -> bool:
        """True if a link's file lies in a folder that was entered, or another link led to it."""
        path = self.folder / link
        identity = _identity(path)
        if identity is None:
            return False  # A dangling link is a file that cannot be read.
        target = Path(os.path.realpath(path))
        if not target.name.startswith(".") and _identity(target.parent) in self.entered:
            return True
        known = identity in self.linked
        self.linked.add(identity)
        return known


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


@dataclass(frozen=True)
class Finder:
    """Look-up of the paths that a table writes.

    Attributes:
        folder: Folder that the paths are relative to.
    """

    folder: Path

    def find(self, written: str) -> tuple[Path, str]:
        """The path of a recording, and a note where it is not what was written.

        If nothing is there, the path is the written one. It is looked for with `/` for a
        backslash, in other Unicode forms and cases, and with any other ending; one that is found is
        taken, of several none.
        """
        path = Path(written)
        if (self.folder / path).exists():
            return path, ""
        name = _folded(written.replace("\\", "/"))
        stem = str(PurePosixPath(name).with_suffix("")) if is_audio(Path(name)) else name
        found = self._by_name.get(name) or self._by_stem.get(stem, [])
        if len(found) == 1:
            return found[0], f"the table writes {written!r}"
        if found:
            return path, f"it may be {' or '.join(map(printable, found[:3]))}: write which"
        elsewhere = self._by_base.get(PurePosixPath(name).name, [])[:1]
        return path, "".join(f"{printable(other)} is there" for other in elsewhere)

    @cached_property
    def _audio(self) -> list[Path]:
        return [found.path for found in walk(self.folder) if not found.is_hidden]

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        return _index(self._audio, lambda path: path)

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        return _index(filter(is_audio, self._audio), lambda path: path.with_suffix(""))

    @cached_property
    def _by_base(self) -> dict[str, list[Path]]:
        return _index(self._audio, lambda path: Path(path.name))


def _index(paths: Iterable[Path], named: Callable[[Path], Path]) -> dict[str, list[Path]]:
    index: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        index[_folded(named(path).as_posix())].append(path)
    return index


def _folded(name: str) -> str:
    """One form for the names that people and systems take for the same."""
    composed = unicodedata.normalize("NFC", name.strip()).casefold()
    return PurePosixPath(unicodedata.normalize("NFC", composed)).as_posix()
