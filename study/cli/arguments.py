"""Arguments that several commands share, and the study folders that they name."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import CoercionError, Parameter, convert

from cpc_core.errors import ConfigError
from cpc_core.storage_path import StoragePath
from search_spaces.fields import nearest
from study.cli.output import message
from study.errors import NotFoundError
from study.folders.study_folder import SPEC, StudyFolder
from study.results.archive import SUFFIX, read_archive
from study.results.reader import read_study
from study.results.records import StudyRecord
from study.storage.backends import storage_errors

HOME = Path("studies")
"""Default folder of studies."""


Study = Annotated[str, Parameter(help="A study folder, or the name of one in studies/.")]


Record = Annotated[
    str, Parameter(help="A study folder, the name of one in studies/, or an archive (.parquet).")
]


Spec = Annotated[str, Parameter(help="A spec file, or the name of a preset.")]


Scale = Annotated[
    str | None,
    Parameter(help="Which of the spec's scales, such as small or paper; the first by default."),
]


Overrides = Annotated[
    list[str] | None,
    Parameter(negative="", help="Override a field of the spec: `--set a.b=c`, as often as needed."),
]


Out = Annotated[
    str | None,
    Parameter(
        name=["--out", "-o"], help="The study folder, a path or a URI; studies/NAME by default."
    ),
]


RAY_ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Variables in which Ray's own clients look for a cluster."""


JobServer = Annotated[
    str,
    Parameter(
        env_var=list(RAY_ADDRESSES), help="The cluster's job server, its dashboard's address."
    ),
]


Address = Annotated[
    str | None,
    Parameter(help="A running Ray cluster; without one, Ray is started on this machine."),
]


Grace = Annotated[
    str | None,
    Parameter(
        allow_leading_hyphen=True,  # So that a negative one is refused as such.
        help="Time in which trials have to end after a signal or `cpc study stop`, such as 60s or "
        "5m: those whose next report is further away save a checkpoint between reports. Without it "
        "they train to their next report.",
        metavar="TIME",
    ),
]


def seconds(grace: str | None) -> float | None:
    """Seconds of a limit; None for none.

    Raises:
        ConfigError: It is no time, or negative.
    """
    if grace is None:
        return None
    with suppress(CoercionError):
        limit: timedelta = convert(timedelta, [grace])
        if limit >= timedelta(0):
            return limit.total_seconds()
    raise ConfigError(f"--grace is a time from now on, such as 60s or 5m, not '{grace}'")


Interval = Annotated[
    Literal["t", "bootstrap"],
    Parameter(help="Student's interval, or the studentised bootstrap's, which needs five seeds."),
]


def say_what_is_ignored(address: str | None) -> None:
    """Says that an address that was typed is used, where the environment names another cluster."""
    named = {name: os.environ[name] for name in RAY_ADDRESSES if os.environ.get(name)}
    if address in (None, "auto", *named.values()):
        return
    for name, value in named.items():
        message(f"{name}={value} is ignored: --address {address} was given")


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


def target_path(given: str | None, name: str) -> StudyFolder:
    """Folder of a new study: the given path or URI, or `studies/NAME`."""
    return StudyFolder(HOME / name if given is None else given)


def list_studies() -> list[StudyFolder]:
    """The studies in `studies/`."""
    return [StudyFolder(spec.parent) for spec in sorted(HOME.glob(f"*/{SPEC}"))]
