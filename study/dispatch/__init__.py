"""Dispatch: the trial that is next, and the outcome of each."""
