"""Arguments that several commands share."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Literal

from cyclopts import CoercionError, Parameter, convert

from cpc_core.errors import ConfigError
from study.cli.output import message
from study.folders.study_folder import StudyFolder
from study.home import HOME

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


def target_path(given: str | None, name: str) -> StudyFolder:
    """Folder of a new study: the given path or URI, or `studies/NAME`."""
    return StudyFolder(HOME / name if given is None else given)
