"""From what a user types to a study folder."""

from __future__ import annotations

from pathlib import Path

from cpc_core.corpus.location import Location
from search_spaces.fields import nearest
from study.errors import NotFoundError
from study.files import Place
from study.reaching import reached
from study.reading import SPEC

HOME = Path("studies")
"""Where studies are kept unless told otherwise."""


def study_folder(name_or_place: str) -> Place:
    """The folder of a study, given as a path or a URI, or by the name of a folder in `studies/`.

    Raises:
        NotFoundError: There is none.
        UnreachableError: The URI's store does not answer.
    """
    if "://" in name_or_place:
        return _stored(name_or_place)
    for folder in (Path(name_or_place), HOME / name_or_place):
        if (folder / SPEC).is_file():
            return folder
    raise NotFoundError(f"there is no study '{name_or_place}' here{nearest(name_or_place, [folder.name for folder in known()])}")


def place_of(given: str | None, name: str) -> Place:
    """Where a study is to be kept: the path or URI that was given, or a folder of its name in `studies/`."""
    if given is None:
        return HOME / name
    return Location.of(given) if "://" in given else Path(given)


def _stored(uri: str) -> Location:
    folder = Location.of(uri)
    with reached(folder, None):
        if not (folder / SPEC).is_file():
            raise NotFoundError(f"there is no study {uri}: start one with `cpc study run SPEC.yaml -o {uri}`, or correct the address")
    return folder


def known() -> list[Path]:
    """The studies kept in `studies/`."""
    return sorted(path.parent for path in HOME.glob(f"*/{SPEC}"))
