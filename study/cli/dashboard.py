"""`cpc dashboard` and `cpc report`: the figures of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from study.cli.arguments import Record, Study
from study.cli.output import message, next_steps
from study.home import study_folder, study_record


def dashboard(study: Study, /, *, host: str = "127.0.0.1", port: int = 8050) -> None:
    """Serves a study's interactive page, which follows the study until that has ended.

    Parameters
    ----------
    host
        Address to serve on; the default is reachable from this machine alone.
    port
        Port to serve on.
    """
    from dashboards.app import serve

    serve(study_folder(study), host, port, on_ready=lambda url: message(f"{url}  (Ctrl-C ends it)"))


def report(
    study: Record,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    figures: Path | None = None,
) -> None:
    """Writes a study's page as one self-contained HTML file.

    Parameters
    ----------
    out
        The HTML file.
    figures
        A folder for the figures as PNG too; needs Chromium.
    """
    from dashboards.export.report import write_report

    record = study_record(study)
    message(f"report: {write_report(record, out).absolute()}")
    if figures is not None:
        from dashboards.export.pictures import save_figures

        for path in save_figures(record, figures):
            message(f"figure: {path}")
    next_steps(f"cpc export {study} --best -o model", f"cpc dashboard {study}")
