"""`cpc exports show|verify`: an export, looked at and checked."""

from __future__ import annotations

from study.analysis.labels import count_text
from study.cli.output import Output, message, print_record


def show(model: str, /, *, output: Output = "table") -> None:
    """Prints what an export is: its trial, how it was chosen, its shape and its scores.

    Parameters
    ----------
    model
        A folder or a URI that `cpc export` made; a study's model, such as demo:best or demo:3; or
        the folder of a checkpoint.
    """
    from cpc_core.export.layout import VERIFICATION
    from cpc_core.export.manifest import local_export, read_provenance, read_verification
    from cpc_core.export.reader import read_settings

    with local_export(model, VERIFICATION) as folder:
        settings, told = read_settings(folder), read_provenance(folder)
        others = read_verification(folder)
    chosen = told.get("chosen", {})
    print_record(
        {
            "study": told.get("study"),
            "trial": told.get("trial"),
            "seed": told.get("seed"),
            "outcome": told.get("outcome"),
            "step": told.get("step"),
            "chosen": chosen.get("how"),
            "mean_of_seeds": chosen.get("mean"),
            "corpus": told.get("corpus"),
            "width": settings.encoder.width,
            "dimensions": settings.dims,
            "frame_ms": 1000 * settings.hop / settings.sample_rate,
            **{
                name: f"within {each['largest_difference']:.1e} of the model"
                for name, each in others.items()
            },
            **told.get("metrics", {}),
        },
        output,
    )


def verify(model: str, /) -> None:
    """Checks every file of an export against its hash, and that its weights fit its settings.

    Parameters
    ----------
    model
        A folder or a URI that `cpc export` made.
    """
    from cpc_core.export.layout import OPTIONAL_FILES
    from cpc_core.export.manifest import local_export
    from cpc_core.export.reader import verify as verified

    with local_export(model, *OPTIONAL_FILES) as folder:
        names = verified(folder)
    message(f"{model}: {count_text(len(names), 'file')} as exported, weights as configured")
