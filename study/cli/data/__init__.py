"""`cpc data`: import of audio, and a look at corpora."""

from __future__ import annotations

from cyclopts import App

app = App(name="data", help="Import audio into a corpus, and look at one.")
app.command(
    f"{__name__}.corpus_import:import_",
    name="import",
    help="Turn recordings into a corpus of Parquet shards. Interrupted, the same command resumes; "
    "the result is the same.",
)
app.command(f"{__name__}.info:info", name="info", help="Show what a corpus contains.")
app.command(
    f"{__name__}.audit:audit",
    name="audit",
    help="Check a corpus for damage, leakage, duplicates and odd sounds.",
)
