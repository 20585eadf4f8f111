"""Settings of Ray that every kind of cluster shares."""

from __future__ import annotations

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}
"""No telemetry, no output of Ray's own, and Ctrl-C is ours."""


PROMPT = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_WARN_BLOCKING_GET_INSIDE_ASYNC": "0",
    "OMP_NUM_THREADS": "1",
}
"""The end of a run is seen at the next health check, two seconds by default. The watcher is one
more process per trial. Workers that reserve no GPU see none. Threads are set by each worker.
"""


API_SERVER = "RAY_API_SERVER_ADDRESS"
"""Ray Train frees a stopped trial's workers through the dashboard, and must ask the right one where
several Rays run.
"""
