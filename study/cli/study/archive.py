"""`cpc study archive`: the records of a study as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from study.cli.arguments import Study
from study.cli.output import message, next_steps, write_file
from study.home import study_folder
from study.results.archive import SUFFIX, joined, to_archive
from study.results.reader import read_study


def archive(
    first: Study, /, *others: Study, out: Annotated[Path, Parameter(name=["--out", "-o"])]
) -> None:
    """Writes the records of a study, or of several that differ in their seeds, as one file.

    Parameters
    ----------
    others
        Studies of the same spec with other seeds, such as those of other machines.
    out
        The file to write, which ends in .parquet, replaced if it is there.
    """
    if out.suffix != SUFFIX:
        out = out.with_name(f"{out.name}{SUFFIX}")
    folders = [study_folder(each) for each in (first, *others)]
    spec, record = joined([(folder.spec(), read_study(folder)) for folder in folders])
    content = to_archive(spec, record)
    write_file(out, content)
    message(f"{len(record.trials)} trials of {record.name} in {out}, {len(content) / 1e6:.2f} MB")
    next_steps(f"cpc report {out} -o report.html", f"cpc study best {out}")
