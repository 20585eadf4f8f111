"""From what a user types to a study folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from search_spaces.fields import nearest
from study.cli.output import Format
from study.control.state import State
from study.errors import NotFoundError
from study.folders.study_folder import SPEC, StudyFolder
from study.storage.backends import storage_errors

HOME = Path("studies")
"""Where studies are kept unless told otherwise."""


def study_folder(name_or_path: str) -> StudyFolder:
    """The folder of a study, given as a path or a URI, or by the name of a folder in `studies/`.

    Raises:
        NotFoundError: There is none.
        UnreachableError: The URI's store does not answer.
    """
    if "://" in name_or_path:
        return _stored(name_or_path)
    for folder in (Path(name_or_path), HOME / name_or_path):
        if (folder / SPEC).is_file():
            return StudyFolder(folder)
    raise NotFoundError(
        f"there is no study '{name_or_path}' here{nearest(name_or_path, [folder.name for folder in list_studies()])}"
    )


def target_path(given: str | None, name: str) -> StudyFolder:
    """Where a study is to be kept: the path or URI that was given, or a folder of its name in
    `studies/`.
    """
    return StudyFolder(HOME / name if given is None else given)


def _stored(uri: str) -> StudyFolder:
    folder = StudyFolder(uri)
    with storage_errors(folder):
        if not folder.holds_study():
            raise NotFoundError(
                f"there is no study {uri}: start one with `cpc study run SPEC.yaml -o {uri}`, or correct the address"
            )
    return folder


def list_studies() -> list[StudyFolder]:
    """The studies kept in `studies/`."""
    return [StudyFolder(path.parent) for path in sorted(HOME.glob(f"*/{SPEC}"))]


def state_words(state: State, study: object) -> str:
    """How a study stands, with what to do about it."""
    resume = f"`cpc study resume {study}` goes on"
    return {
        "running": "running",
        "pausing": f"pausing: no new trials, the running ones go on to their end; `cpc study resume {study}` lifts the pause",
        "stopping": "stopping: the running trials go on to their next report",
        "paused": f"paused: {resume}",
        "stopped": f"stopped: {resume}",
        "interrupted": f"interrupted, nobody is running it: {resume}",
        "ended": "ended",
    }[state]


Overrides = Annotated[
    list[str] | None,
    Parameter(negative="", help="Override a field of the spec: `--set a.b=c`, as often as needed."),
]


Output = Annotated[Format, Parameter(name=["--output", "-o"], help="Format of the result.")]


Scale = Annotated[
    str | None,
    Parameter(help="Which of the spec's scales, such as small or paper; the first by default."),
]


Out = Annotated[
    str | None,
    Parameter(
        name=["--out", "-o"], help="The study folder, a path or a URI; studies/NAME by default."
    ),
]


Address = Annotated[
    str | None,
    Parameter(help="A running Ray cluster; without one, Ray is started on this machine."),
]
