"""Ray clusters on this machine, started as a user starts them: `ray start`."""

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
"""How long a cluster may take to release the resources of a study."""


HEAD_CPUS, SECOND_CPUS = 1, 4
"""CPUs of the two nodes. Reservations are counted, not measured: the machine may have fewer. The
head is too small for two workers of 0.75 CPUs: the second node always has a part of a study.
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
}


_DEAD_NODES_SOON = {
    # A dead node is noticed in seconds, not in half a minute: its port refuses at once. One that is
    # only slow, on a busy machine, is given longer.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "10000",
    "RAY_health_check_failure_threshold": "3",
}


_NODE = (
    f"--block --object-store-memory={100 * 2**20} --min-worker-port=0 --max-worker-port=0 "
    "--dashboard-agent-listen-port=0"
)


TOKEN = Path(".ray") / "auth_token"
"""File in a user's home folder that Ray reads."""


def as_user(environment: dict[str, str], home: Path) -> dict[str, str]:
    """An environment in which nothing but a home folder speaks of Ray."""
    kept = {name: value for name, value in environment.items() if not name.startswith("RAY_AUTH")}
    return {**kept, "HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0"}


class RunningRay:
    """A cluster of one node.

    Args:
        cache: Folder that the bundled corpus is imported to.
        log: File for what its nodes print.
        cpus: Of the node.
        home: Home folder of a user with a token, for a cluster that asks for it; started without an
            activated environment.

    Attributes:
        address: For drivers.
        dashboard: Address of its job server.
    """

    def __init__(self, cache: Path, log: Path, cpus: int = 2, home: Path | None = None) -> None:
        self._head = Marked(cache)
        self._log, self._cpus, self._home = log, cpus, home
        self._starts: list[subprocess.Popen[str]] = []
        port, dashboard, client = free_ports(3)
        self.address, self.dashboard = f"127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}"
        ports = f"--port={port} --dashboard-port={dashboard} --ray-client-server-port={client}"
        self._start(self._head, f"--head --num-cpus={cpus} --temp-dir={self._head.folder} {ports}")
        await_that(self._answers, START_S, "the head node answers")

    def environment(self, marked: Marked) -> dict[str, str]:
        """Environment of a process that talks to it."""
        if self._home is not None:
            return {**as_user(marked.environment, self._home), "PATH": os.defpath}
        binaries = Path(sys.executable).parent
        path = f"{binaries}{os.pathsep}{marked.environment['PATH']}"
        return {**marked.environment, **_ENVIRONMENT, "PATH": path}

    @property
    def nodes(self) -> list[Marked]:
        """Processes of each node."""
        return [self._head]

    def titled(self, *titles: str) -> list[int]:
        """Living processes of Ray's workers whose title begins with one of these."""
        return _titled(self.nodes, titles)

    def in_use(self) -> dict[str, Any]:
        """CPUs, placement groups, actors and workers in use. Empty where there are none."""
        usage = self._get("/api/cluster_status")["clusterStatus"]["loadMetricsReport"]["usage"]
        groups = self._listed("placement_groups", "!=", "REMOVED")
        actors = [
            actor["class_name"]
            for actor in self._listed("actors", "!=", "DEAD")
            if actor["class_name"] not in OWN_ACTORS
        ]
        in_use = {
            "CPUs": [] if usage["CPU"] == [0.0, self._cpus] else usage["CPU"],
            "groups": groups,
            "actors": actors,
            "workers": self.titled("ray::RayTrainWorker"),
        }
        return {kind: found for kind, found in in_use.items() if found}

    def end(self) -> None:
        """Ends every process of it."""
        with ExitStack() as ended:
            for marked in self.nodes:
                ended.callback(marked.end)
        for start in self._starts:
            start.wait()

    def _start(self, marked: Marked, arguments: str) -> None:
        ray = str(Path(sys.executable).parent / "ray")
        command = [ray, "start", *arguments.split(), *_NODE.split()]
        environment = self.environment(marked)
        with self._log.open("a") as log:
            self._starts.append(
                subprocess.Popen(command, env=environment, stdout=log, stderr=log, text=True)
            )

    def _answers(self) -> bool:
        try:
            # Where it asks for a token it has answered, too.
            return requests.get(f"{self.dashboard}/api/version", timeout=5).status_code in (
                200,
                401,
            )
        except requests.exceptions.RequestException:
            return False

    def _get(self, path: str, **query: str) -> Any:
        answer = requests.get(f"{self.dashboard}{path}", params=query, timeout=30)
        answer.raise_for_status()
        return answer.json()["data"]

    def _listed(self, kind: str, predicate: str, state: str) -> list[dict[str, Any]]:
        answer = self._get(
            f"/api/v0/{kind}",
            filter_keys="state",
            filter_predicates=predicate,
            filter_values=state,
            limit="1000",
        )
        listed: list[dict[str, Any]] = answer["result"]["result"]
        return listed


class TwoNodes(RunningRay):
    """A cluster with a second node, which can die and be started again.

    Args:
        cache: Folder that the bundled corpus is imported to.
        log: File for what its nodes print.
    """

    def __init__(self, cache: Path, log: Path) -> None:
        self._second = Marked(cache)
        super().__init__(cache, log, HEAD_CPUS)
        self.start_second()

    @property
    def nodes(self) -> list[Marked]:
        return [self._head, self._second]

    def environment(self, marked: Marked) -> dict[str, str]:
        return {**super().environment(marked), **_DEAD_NODES_SOON}

    def start_second(self) -> None:
        """Starts the second node, again if it has died."""
        before = self._node_ids()
        self._cpus = HEAD_CPUS + SECOND_CPUS
        self._start(
            self._second,
            f"--address={self.address} --node-ip-address={SECOND_IP} --num-cpus={SECOND_CPUS}",
        )
        await_that(
            lambda: bool(self._node_ids() - before), START_S, "the second node joins the cluster"
        )

    def titled_on_second(self, *titles: str) -> list[int]:
        """The processes on the second node among those that `titled` finds."""
        return _titled([self._second], titles)

    @property
    def second_raylets(self) -> list[int]:
        """The second node's raylet, if it is alive."""
        return [
            pid
            for pid in self._second.processes()
            if _command(pid).split(" ")[0].endswith("/raylet")
        ]

    def _node_ids(self) -> set[str]:
        return {node["node_id"] for node in self._listed("nodes", "=", "ALIVE")}


def await_that(condition: Callable[[], bool], within_s: float, goal: str) -> None:
    """Returns once `condition` is true; fails after so many seconds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {goal}"
        time.sleep(0.1)


def _titled(nodes: list[Marked], titles: tuple[str, ...]) -> list[int]:
    return [pid for node in nodes for pid in node.processes() if _command(pid).startswith(titles)]


def _command(pid: int) -> str:
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        return ""


def free_ports(count: int) -> list[int]:
    """Ports of this machine that were free a moment ago."""
    with ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in sockets]
