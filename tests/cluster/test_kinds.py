"""Settings around a connection to Ray, without a Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from cluster.kinds.base import API_SERVER, ray_settings
from cluster.kinds.local import LocalRay


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
