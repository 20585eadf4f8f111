"""Figures, the interactive page and the static report. Everything here only reads a study."""
