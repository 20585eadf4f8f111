"""A PostgreSQL server for tests: Debian's package, a private port, data in a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

USER, PASSWORD = "cpc", "not-to-be-seen"


START_S = 60.0
"""Longest time until the server answers, on a busy machine."""


@dataclass
class Server:
    """A server that can be stopped and started again.

    Attributes:
        port: On loopback.
        data: Its folder.
        binaries: Folder of `initdb` and `postgres`.
        durable: True if it waits for the disk.
    """

    port: int
    data: Path
    binaries: Path
    durable: bool
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres", user: str = USER) -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        fsync = "on" if self.durable else "off"
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": fsync,
            "log_min_messages": "fatal",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [
            str(self.binaries / "postgres"),
            "-D",
            str(self.data),
            "-p",
            str(self.port),
            *settings,
        ]
        with (self.data / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.data, **_unprivileged()
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < deadline, (
                self.data / "server.log"
            ).read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it by its number, and all its connections with it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=START_S)
            self.process = None

    def _answers(self) -> bool:
        command = [str(self.binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0


def binaries() -> Path | None:
    """Folder of the server's programs in Debian's package, None where it is not installed.

    The package puts them on no path.
    """
    return max(
        (path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")), default=None
    )


@contextmanager
def running(*, durable: bool = False) -> Iterator[Server]:
    """A new server with one user, whose password every connection needs."""
    found = binaries()
    assert found is not None
    # Only their owner can read in pytest's folders, and a server refuses to run as root.
    data = Path(tempfile.mkdtemp(prefix="cpc-postgres-"))
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        server = Server(probe.getsockname()[1], data, found, durable)
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".password") as file:
            file.write(PASSWORD)
            file.flush()
            if os.geteuid() == 0:
                shutil.chown(data, "postgres", "postgres")
                shutil.chown(file.name, "postgres", "postgres")
            command = [
                str(found / "initdb"),
                "-D",
                str(data),
                "-U",
                USER,
                "-A",
                "scram-sha-256",
                "--pwfile",
                file.name,
                "--no-sync",
            ]
            subprocess.run(
                [*command, "-E", "UTF8", "--locale=C"],
                check=True,
                capture_output=True,
                cwd=data,
                **_unprivileged(),
            )
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(data, ignore_errors=True)


def _unprivileged() -> dict[str, Any]:
    return (
        {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    )
