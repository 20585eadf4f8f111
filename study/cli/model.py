"""`cpc export`: a trained model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from cpc_core.errors import ConfigError
from cpc_core.storage_path import StoragePath
from study.cli.arguments import Study
from study.cli.output import message, next_steps
from study.home import study_folder
from study.results.reader import read_study


def export(
    study: Study,
    /,
    *,
    out: Annotated[str, Parameter(name=["--out", "-o"])],
    best: bool = False,
    cell: str | None = None,
    trial: int | None = None,
    front: bool = False,
    seeds: Literal["best", "all"] = "best",
    unfinished: bool = False,
    onnx: bool = False,
    pt2: bool = False,
    optimizer: bool = False,
    overwrite: bool = False,
) -> None:
    """Exports a trained model: safetensors, its architecture, code that loads it, its provenance.

    Parameters
    ----------
    out
        The folder to make, a path or a URI.
    best
        The best cell by its mean over seeds, and in it the best seed.
    cell
        A cell: its knobs (similarity=dot,temperature=1), its label as `best` prints it, or the
        beginning of its id; and in it the best seed.
    trial
        The trial of that number.
    front
        Every cell on the Pareto front of several objectives, each in a folder of its own.
    seeds
        The best seed of a cell, or all of them, each in a folder of its own.
    unfinished
        Also a trial that has not completed, from its newest checkpoint, recorded as what it is.
    onnx
        Also model.onnx, for ONNX Runtime, compared with the model; needs the extra `onnx`.
    pt2
        Also model.pt2, for `torch.export.load`, compared with the model.
    optimizer
        Also Adam's averages, from which `cpc trial run --from` goes on.
    overwrite
        Replace an export that is already there, or an empty folder; nothing else.
    """
    from cpc_core.export.formats import require_packages
    from cpc_core.export.layout import Format
    from cpc_core.export.writer import require_replaceable
    from study.models import export_trial, front_cells, of_cells, of_number, one_cell

    wanted: dict[Format, bool] = {"onnx": onnx, "pt2": pt2}
    formats = [name for name, asked in wanted.items() if asked]
    require_packages(formats)
    if [best, cell is not None, trial is not None, front].count(True) != 1:
        raise ConfigError("say which model: --best, --cell KNOB=VALUE, --trial NUMBER, or --front")
    folder, target = study_folder(study), StoragePath.of(out)
    if folder.path.is_local and target.is_local:
        inside, home = Path(target).resolve(), Path(folder.path).resolve()
        if inside.is_relative_to(home) or home.is_relative_to(inside):
            raise ConfigError(f"{out} lies in the study, or the study in it: choose another folder")
    record = read_study(folder)
    if trial is not None:
        chosen = [of_number(record, trial, unfinished=unfinished)]
    else:
        cells = front_cells(record) if front else [one_cell(record, cell, message)]
        chosen = of_cells(record, cells, message, every_seed=seeds == "all")
    places = [
        target if len(chosen) == 1 and not front else target / f"trial-{each.number}"
        for each, _ in chosen
    ]
    for place in places:
        if place.exists() or (place.is_local and Path(place).is_symlink()):
            if not overwrite:
                raise ConfigError(
                    f"{place} is already there: choose another folder, or add --overwrite"
                )
            require_replaceable(place)
    for place, (each, how) in zip(places, chosen, strict=True):
        export_trial(folder, record, (each, how), place, formats, optimizer=optimizer)
        settings = {**each.knobs, "seed": each.seed}
        setting = ", ".join(f"{name} {value}" for name, value in settings.items())
        message(f"exported trial {each.number} ({setting}) to {place if len(chosen) > 1 else out}")
    next_steps(f"cpc probe {out if len(chosen) == 1 else places[0]} sample")
