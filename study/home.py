"""Studies by the names that people type."""

from __future__ import annotations

from pathlib import Path

from cpc_core.storage_path import StoragePath
from search_spaces.fields import nearest
from study.errors import NotFoundError
from study.folders.study_folder import SPEC, StudyFolder
from study.results.archive import SUFFIX, read_archive
from study.results.reader import read_study
from study.results.records import StudyRecord
from study.storage.backends import storage_errors

HOME = Path("studies")
"""Default folder of studies."""


def study_folder(name_or_path: str) -> StudyFolder:
    """The folder of a study, given as a path or a URI, or by the name of a folder in `studies/`.

    Raises:
        NotFoundError: There is none.
        UnreachableError: The URI's object store does not answer.
    """
    if "://" in name_or_path:
        return _stored(name_or_path)
    for folder in (StudyFolder(name_or_path), StudyFolder(HOME / name_or_path)):
        if folder.holds_study():
            return folder
    near = nearest(name_or_path, [folder.name for folder in list_studies()])
    raise NotFoundError(f"there is no study '{name_or_path}' here{near}")


def study_record(name_or_path: str) -> StudyRecord:
    """The record of a study, named as its folder is, or of an archive, named by its path or URI.

    Raises:
        NotFoundError: There is none.
        ConfigError: The file is no archive, or the folder's files are damaged.
        UnreachableError: Its store does not answer.
    """
    if not name_or_path.endswith(SUFFIX):
        return read_study(study_folder(name_or_path))
    path = StoragePath.of(name_or_path)
    try:
        with storage_errors(StudyFolder(path)):
            return read_archive(path)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no archive {name_or_path}") from error


def _stored(uri: str) -> StudyFolder:
    folder = StudyFolder(uri)
    with storage_errors(folder):
        if not folder.holds_study():
            raise NotFoundError(
                f"there is no study {uri}: start one with `cpc study run SPEC.yaml -o {uri}`, or "
                "correct the address"
            )
    return folder


def list_studies() -> list[StudyFolder]:
    """The studies in `studies/`."""
    return [StudyFolder(spec.parent) for spec in sorted(HOME.glob(f"*/{SPEC}"))]
