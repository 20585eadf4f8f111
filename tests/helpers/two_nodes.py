"""A real Ray cluster of two nodes on this machine, whose processes can be told apart and killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from tests.helpers.processes import Marked

START_S = 60.0


QUIET_S = 60.0
"""How long the cluster may take to let go of what a study held."""


HEAD_CPUS, SECOND_CPUS = 1, 4
"""Reservations are counted, not measured: the machine may have fewer. The head is too small for a
study, so that the second node always has a part of it.
"""


SECOND_IP = "127.0.0.2"
"""Two nodes of one address would be one to Ray."""


OWN_ACTORS = ("_AutoscalingCoordinatorActor", "_StatsActor", "PlacementGroupCleaner")
"""Ray's own, which outlive the driver that needed them first. The cleaner of a Ray Train run frees
its placement group when the run's controller dies; killed before it has told the cleaner what to
watch, that one waits for ever, and holds nothing.
"""


_ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A dead node is noticed in seconds, not in half a minute.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "3",
}


_NODE = f"--block --object-store-memory={100 * 2**20} --min-worker-port=0 --max-worker-port=0 --dashboard-agent-listen-port=0"


class TwoNodes:
    """A head node and a second one, both started as a user starts them, by `ray start`.

    Args:
        cache: Where the bundled corpus is imported to.
        log: What the nodes print goes there.
    """

    def __init__(self, cache: Path, log: Path) -> None:
        self.drivers, self._head, self._second = Marked(cache), Marked(cache), Marked(cache)
        self._log = log
        self._starts: list[subprocess.Popen[str]] = []
        port, dashboard, client = _free_ports(3)
        self.address, self._dashboard = f"127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}"
        ports = f"--port={port} --dashboard-port={dashboard} --ray-client-server-port={client}"
        self._start(
            self._head, f"--head --num-cpus={HEAD_CPUS} --temp-dir={self._head.folder} {ports}"
        )
        await_that(self._answers, START_S, "the head node answers")
        self.start_second()

    def start_second(self) -> None:
        """Starts the second node, again if it has died."""
        known = self._node_ids()
        self._start(
            self._second,
            f"--address={self.address} --node-ip-address={SECOND_IP} --num-cpus={SECOND_CPUS}",
        )
        await_that(
            lambda: bool(self._node_ids() - known), START_S, "the second node joins the cluster"
        )

    def environment(self, marked: Marked) -> dict[str, str]:
        """Of a process that talks to this cluster."""
        return {
            **marked.environment,
            **_ENVIRONMENT,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{marked.environment['PATH']}",
        }

    def titled(self, *titles: str, second_only: bool = False) -> list[int]:
        """Living processes of Ray's workers, on either node, whose title begins with one of
        these.
        """
        nodes = (self._second,) if second_only else (self._head, self._second)
        return [
            pid for node in nodes for pid in node.processes() if _command(pid).startswith(titles)
        ]

    @property
    def second_raylets(self) -> list[int]:
        """The second node's raylet, if it is alive."""
        return [
            pid
            for pid in self._second.processes()
            if _command(pid).split(" ")[0].endswith("/raylet")
        ]

    def held(self) -> dict[str, Any]:
        """What is in use: CPUs, placement groups, actors. Empty where nothing is."""
        usage = self._get("/api/cluster_status")["clusterStatus"]["loadMetricsReport"]["usage"]
        groups = self._listed("placement_groups", "!=", "REMOVED")
        actors = [
            actor["class_name"]
            for actor in self._listed("actors", "!=", "DEAD")
            if actor["class_name"] not in OWN_ACTORS
        ]
        free = usage["CPU"] == [0.0, HEAD_CPUS + SECOND_CPUS]
        held = {
            "CPUs": [] if free else usage["CPU"],
            "groups": groups,
            "actors": actors,
            "processes": self.titled("ray::RayTrainWorker"),
        }
        return {what: found for what, found in held.items() if found}

    def end(self) -> None:
        """Ends every process of it."""
        with ExitStack() as ended:
            for marked in (self._head, self._second, self.drivers):
                ended.callback(marked.end)
        for start in self._starts:
            start.wait()

    def _node_ids(self) -> set[str]:
        return {node["node_id"] for node in self._listed("nodes", "=", "ALIVE")}

    def _start(self, marked: Marked, arguments: str) -> None:
        command = [
            str(Path(sys.executable).parent / "ray"),
            "start",
            *arguments.split(),
            *_NODE.split(),
        ]
        with self._log.open("a") as log:
            self._starts.append(
                subprocess.Popen(
                    command, env=self.environment(marked), stdout=log, stderr=log, text=True
                )
            )

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self._dashboard}/api/version", timeout=5).ok
        except requests.exceptions.RequestException:
            return False

    def _get(self, path: str, **query: str) -> Any:
        answer = requests.get(f"{self._dashboard}{path}", params=query, timeout=30)
        answer.raise_for_status()
        return answer.json()["data"]

    def _listed(self, what: str, predicate: str, state: str) -> list[dict[str, Any]]:
        answer = self._get(
            f"/api/v0/{what}",
            filter_keys="state",
            filter_predicates=predicate,
            filter_values=state,
            limit="1000",
        )
        listed: list[dict[str, Any]] = answer["result"]["result"]
        return listed


def await_that(holds: Callable[[], bool], within_s: float, what: str) -> None:
    """Returns once `holds` does; fails after so many seconds."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.1)


def _command(pid: int) -> str:
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        return ""


def _free_ports(count: int) -> list[int]:
    with ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in sockets]
