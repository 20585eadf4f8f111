"""Audit of a corpus: damage, leakage between splits, duplicates, odd sounds."""
