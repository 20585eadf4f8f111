"""`cpc exports`: commands on exported models."""

from __future__ import annotations

from cyclopts import App

app = App(name="exports", help="Look at an export, and check it.")
app.command(f"{__name__}.show:show", name="show", help="Print what an export is.")
app.command(f"{__name__}.show:verify", name="verify", help="Check every file of an export.")
