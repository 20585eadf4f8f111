"""The bundled audio as a corpus: everything runs before a user has imported anything."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.importing.run import import_folder
from cpc_core.corpus.manifest import CLIP_SCHEMA, CORPUS_SCHEMA, MANIFEST_NAME, ImportOptions
from cpc_core.errors import CorpusError, StorageError

SAMPLE_NAME = "sample"
"""Name of the bundled corpus, accepted in place of a path."""

SAMPLE_FOLDER = Path(__file__).parents[1] / "sample"

SAMPLE_OPTIONS = ImportOptions(clip_s=2.0)
"""Clips of 2 s cover the 1.62 s of one context frame; most of the sounds are no longer."""


def open_corpus(name_or_path: str) -> Corpus:
    """Opens the bundled corpus by its name `sample`, or any other by its folder or URI.

    Raises:
        CorpusError: It is missing, damaged or of another schema.
    """
    if name_or_path != SAMPLE_NAME:
        return Corpus.open(name_or_path)
    folder = sample_corpus()
    try:
        return Corpus.open(folder)
    except CorpusError as error:
        raise CorpusError(
            f"the copy of the bundled corpus in {folder} is damaged ({error}): delete that folder"
        ) from error


def sample_corpus() -> Path:
    """Folder of the bundled corpus, imported into the user's cache at first use.

    The folder's name is a hash of everything that determines its content, so it is never stale.
    Several processes may import at the same time: each writes a copy of its own, and the first to
    finish wins.

    Raises:
        CorpusError: The cache cannot be written.
    """
    folder = cache_folder() / f"{SAMPLE_NAME}-{_content_hash()}"
    if not (folder / MANIFEST_NAME).is_file():
        own = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
        try:
            import_folder(SAMPLE_FOLDER, own, SAMPLE_OPTIONS)
            with suppress(OSError):
                own.rename(folder)
        except CorpusError as error:
            raise StorageError(f"{error}; CPC_CACHE names the folder for it") from error
        finally:
            shutil.rmtree(own, ignore_errors=True)
    return folder


def cache_folder() -> Path:
    """Folder of what can be made again: `CPC_CACHE`, or the user's cache."""
    if chosen := os.environ.get("CPC_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cpc-study"


def _content_hash() -> str:
    columns = f"{CORPUS_SCHEMA} {CLIP_SCHEMA.names}"
    digest = hashlib.sha256(f"{columns} {SAMPLE_OPTIONS.model_dump_json()}".encode())
    for path in sorted(path for path in SAMPLE_FOLDER.rglob("*") if path.is_file()):
        digest.update(path.relative_to(SAMPLE_FOLDER).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]
