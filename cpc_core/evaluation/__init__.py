"""Scores of a model: held-out accuracy, and probes on its frozen features."""
