"""Settings of Ray Data."""

from __future__ import annotations

import logging

from ray.data import DataContext


def configure_ray_data() -> DataContext:
    """Sets this process's context to print nothing: commands show their own progress."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return context
