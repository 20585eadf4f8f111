"""Trials of several workers, through Ray Train."""
