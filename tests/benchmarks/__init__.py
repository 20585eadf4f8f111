"""Timings, printed as ratios of things measured side by side in one process. Run one with `python
-m tests.benchmarks.NAME`.
"""
