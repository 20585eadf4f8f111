"""Paths of corpora and studies: on this machine, or in any store that pyarrow or fsspec reaches.

The one module that uses file systems. A path is text, so that it travels to other processes;
connections are made where they are used, one for each store. What a store needs beside its address
comes from where its own tools look (`AWS_ACCESS_KEY_ID`, `~/.aws`), or from the URI
(`s3://bucket/folder?region=eu-west-1&endpoint_override=…`).

A URI of no usable store, and a URI where a local path is needed, are a `PathError`; a fault of a
store is an `OSError`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import pyarrow as pa
from pyarrow import fs

from cpc_core.errors import ConfigError, PathError

_T = TypeVar("_T")

PAUSES_S = (0.5, 2.0)
"""Seconds before each further attempt at reading from a store."""


@dataclass(frozen=True)
class StoragePath:
    """Path of a folder or a file, which may not exist. A local one is an `os.PathLike`.

    Attributes:
        text: Absolute path, or URI.
    """

    text: str

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> StoragePath:
        """The path that a path or a URI names, absolute; a `file://` URI becomes a local path.

        Raises:
            ConfigError: It is empty, as a variable that is not set is.
        """
        if isinstance(path, StoragePath):
            return path
        text = os.fspath(path)
        if not text.strip():
            raise ConfigError("a path is empty: name a folder or a URI (. is this folder)")
        if text.startswith("file://"):
            text = urlsplit(text).path
        return cls(text if "://" in text else str(Path(text).absolute()))

    @property
    def is_local(self) -> bool:
        """True if this is a path on this machine."""
        return "://" not in self.text

    @property
    def name(self) -> str:
        """The last component."""
        return self.path.rstrip("/").rpartition("/")[2]

    @property
    def filesystem(self) -> fs.FileSystem:
        """The file system of this path.

        Raises:
            PathError: The URI names a store that is unknown, or whose package is not installed.
        """
        return fs.LocalFileSystem() if self.is_local else _store(*self._store_uri)[0]

    @property
    def path(self) -> str:
        """The path within that file system."""
        return (
            self.text
            if self.is_local
            else _store(*self._store_uri)[1] + self._parts.path.rstrip("/")
        )

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.text)

    @property
    def _store_uri(self) -> tuple[str, str]:
        return f"{self._parts.scheme}://{self._parts.netloc}", self._parts.query

    def __truediv__(self, name: str) -> StoragePath:
        if self.is_local:
            return StoragePath(os.path.join(self.text, name))  # noqa: PTH118 (a study has thousands)
        return StoragePath(
            self._parts._replace(path=f"{self._parts.path.rstrip('/')}/{name}").geturl()
        )

    def sibling(self, name: str) -> StoragePath:
        """The path of that name in the same folder."""
        if self.is_local:
            return StoragePath(str(Path(self.text).with_name(name)))
        return StoragePath(
            self._parts._replace(
                path=f"{self._parts.path.rstrip('/').rpartition('/')[0]}/{name}"
            ).geturl()
        )

    def __str__(self) -> str:
        return self.text

    def __fspath__(self) -> str:
        if not self.is_local:
            raise PathError(f"{self} is not on this machine: name a local path here")
        return self.text

    def is_file(self) -> bool:
        """True if this is a file."""
        return bool(self.filesystem.get_file_info(self.path).type == fs.FileType.File)

    def is_folder(self) -> bool:
        """True if this is a folder, or in a store without folders a prefix of names."""
        return bool(self.filesystem.get_file_info(self.path).type == fs.FileType.Directory)

    def exists(self) -> bool:
        """True if there is a file or a folder."""
        return bool(self.filesystem.get_file_info(self.path).type != fs.FileType.NotFound)

    def file_sizes(self) -> dict[str, int]:
        """Bytes of every file in the folder by its name; empty where there is no folder."""
        found = self.filesystem.get_file_info(fs.FileSelector(self.path, allow_not_found=True))
        return {info.base_name: info.size for info in found if info.type == fs.FileType.File}

    def walk_files(self) -> dict[str, fs.FileInfo]:
        """Every file below the folder, by its path from here; empty where there is no folder."""
        found = self.filesystem.get_file_info(
            fs.FileSelector(self.path, allow_not_found=True, recursive=True)
        )
        return {
            info.path[len(self.path) + 1 :]: info for info in found if info.type == fs.FileType.File
        }

    def read_bytes(self) -> bytes:
        """The file's content.

        Raises:
            FileNotFoundError: There is none.
        """
        with self.filesystem.open_input_stream(self.path) as file:
            content: bytes = file.read()
            return content

    def sha256(self) -> str:
        """Hash of the file's content, in hexadecimal digits."""
        with self.filesystem.open_input_stream(self.path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def write_bytes(self, content: bytes) -> None:
        """Writes the file so that a reader sees the old content or the new, whole."""
        with self.writing() as file:
            file.write(content)

    def write_text(self, content: str) -> None:
        """Writes the file like `write_bytes`, in UTF-8."""
        self.write_bytes(content.encode())

    def append(self, line: bytes) -> None:
        """Adds to the end of the file, on the disk or in the store before this returns.

        Objects cannot grow: one in a store is written again.
        """
        if self.is_local:
            with Path(self).open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            return
        before = b""
        with suppress(FileNotFoundError):
            before = self.read_bytes()
        self.write_bytes(before + line)

    @contextmanager
    def writing(self) -> Iterator[IO[bytes] | Any]:
        """Opens a file to write, which appears whole when the block ends without an error."""
        if not self.is_local:
            try:
                with self.filesystem.open_output_stream(self.path) as stream:
                    yield stream
            except BaseException:
                self.remove()  # A store keeps what was written when the stream was closed.
                raise
            return
        partial = Path(f"{self.text}.{uuid.uuid4().hex}.partial")
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.text)
        finally:
            partial.unlink(missing_ok=True)

    def remove(self) -> None:
        """Deletes the file, or the folder with all that is in it, if there is one."""
        if self.is_file():
            self.filesystem.delete_file(self.path)
        elif self.is_folder():
            self.filesystem.delete_dir(self.path)

    def copy_to(self, target: StoragePath) -> None:
        """Copies the file within its store, which does that by itself."""
        self.filesystem.copy_file(self.path, target.path)


def with_retries(place: StoragePath, read: Callable[[], _T]) -> _T:
    """Returns `read()`; in a store, after a fault, calls it again after each of `PAUSES_S`.

    Many faults of a store pass.

    Raises:
        OSError: It failed each time, or what it reads is not there.
    """
    for pause_s in () if place.is_local else PAUSES_S:
        try:
            return read()
        except FileNotFoundError:
            raise
        except OSError:
            time.sleep(pause_s)
    return read()


@lru_cache(maxsize=16)
def _store(uri: str, query: str) -> tuple[fs.FileSystem, str]:
    """File system of a store, and the path of its root in it."""
    try:
        store, root = fs.FileSystem.from_uri(f"{uri}?{query}" if query else uri)
        return store, root.rstrip("/")
    except pa.ArrowInvalid as error:
        if "Unrecognized filesystem type" not in str(error):
            raise PathError(f"{uri} cannot be used ({error}): correct the URI") from error
    except OSError as error:
        raise PathError(
            f"{uri} does not answer ({error}): check the address and the credentials"
        ) from error
    try:
        from fsspec.core import url_to_fs

        spec, root = url_to_fs(f"{uri}/")
        return fs.PyFileSystem(fs.FSSpecHandler(spec)), root.rstrip("/")
    except (ValueError, ImportError) as error:
        raise PathError(f"{uri} is in no store that pyarrow or fsspec knows ({error})") from error


@contextmanager
def sole_use(lock: Path) -> Iterator[bool]:
    """Holds a lock on a file, which is made; False where another process of this machine does."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def sync(path: Path) -> None:
    """Flushes the content of a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
