"""Settings around a connection to Ray, without a Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
from ray.exceptions import RpcError

from cluster.environment import API_SERVER
from cluster.kinds.base import ray_settings
from cluster.kinds.local import LocalRay
from cluster.kinds.running import RunningRay
from study.errors import UnreachableError


def test_ray_prints_nothing_to_stdout(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.shutdown", lambda: sys.stdout.write("two workers died\n"))
    with ray_settings({}):
        print("ours")  # noqa: T201
        ray = threading.Thread(target=print, args=("a worker died",), name="ray_listen_errors")
        ray.start()
        ray.join()
    assert capsys.readouterr().out == "ours\n"


def test_the_environment_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    before = dict(os.environ)
    with ray_settings({API_SERVER: "http://127.0.0.1:1"}):
        assert (os.environ["OMP_NUM_THREADS"], API_SERVER in os.environ) == ("1", True)
    assert dict(os.environ) == before


def test_processes_of_a_local_ray_are_awaited_after_an_interrupt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    children: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr("ray.init", lambda **_: children.append(subprocess.Popen(["sleep", "600"])))
    monkeypatch.setattr("cluster.kinds.processes.GRACE_S", 0.0)
    with pytest.raises(KeyboardInterrupt), LocalRay().connect(None):
        raise KeyboardInterrupt
    (child,) = children
    assert child.wait(10) == -signal.SIGKILL


def test_cluster_is_joined_without_its_dashboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dashboard that `ray start --head` starts answers on the head node alone."""
    joined: list[dict[str, Any]] = []
    monkeypatch.setattr("cluster.kinds.running.require_listener", lambda address: None)
    monkeypatch.setattr("ray.init", lambda **settings: joined.append(settings))
    monkeypatch.setattr("cluster.kinds.running.JobSubmissionClient", failing(ConnectionError()))
    with RunningRay("head:6379").connect(None):
        pass
    (settings,) = joined
    assert settings["address"] == "head:6379"
    assert API_SERVER not in settings["runtime_env"]["env_vars"]


def test_cluster_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    error = RpcError("Timed out while waiting for GCS to become available.")
    monkeypatch.setattr("cluster.kinds.running.require_listener", lambda address: None)
    monkeypatch.setattr("cluster.kinds.running.JobSubmissionClient", failing(error))
    with (
        pytest.raises(
            UnreachableError, match=r"no Ray cluster answers at nowhere:6379 \(Timed out"
        ),
        RunningRay("nowhere:6379").connect(None),
    ):
        pass


def failing(error: Exception) -> Any:
    """A function that raises."""

    def fail(*arguments: object) -> None:
        raise error

    return fail


def test_the_exit_of_rays_own_signal_handler_is_an_interrupt() -> None:
    """Ray sets one for SIGTERM while it starts, which takes seconds."""
    with pytest.raises(KeyboardInterrupt), ray_settings({}):
        sys.exit(signal.SIGTERM)
