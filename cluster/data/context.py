"""Settings of Ray Data that everything of ours shares."""

from __future__ import annotations

import logging

from ray.data import DataContext


def configure_ray_data() -> DataContext:
    """This process's context, told to print nothing: our commands show their own progress."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return context
