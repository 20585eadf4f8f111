"""`cpc trial`: single models, trained on this machine."""

from __future__ import annotations

from cyclopts import App

app = App(name="trial", help="Train single models on this machine, without a cluster.")
app.command(
    f"{__name__}.run:run",
    name="run",
    help="Pretrain one model with live progress, checkpoints and a probe at the end. The same "
    "settings twice train once.",
)
app.command(
    f"{__name__}.reproduce:reproduce",
    name="reproduce",
    help="Train a study's trial again and compare the numbers.",
)
