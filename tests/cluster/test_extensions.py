"""A new kind of cluster is one file and one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.kinds import KINDS, cluster_at
from cluster.kinds.local import LocalRay
from cluster.kinds.running import RunningRay
from study.errors import UnreachableError
from tests.helpers.extended import extended_package
from tests.helpers.specs import tiny_spec

AWAY = '''"""A cluster that is away."""

from collections.abc import Iterator
from contextlib import contextmanager

from cluster.kinds.capacity import Capacity
from study.errors import UnreachableError
from study.spec.resources import Resources


class Away:
    """A cluster that answers nobody."""

    is_this_machine = False

    def __init__(self, address: str) -> None:
        self._address = address

    def capacity(self) -> Capacity:
        return Capacity(0, 0)

    @contextmanager
    def connect(self, resources: Resources | None) -> Iterator[None]:
        raise UnreachableError(f"{self._address} is away, {resources.workers} workers must wait")
        yield
'''


def test_kinds_are_found_by_scheme() -> None:
    assert isinstance(cluster_at(None), LocalRay)
    assert isinstance(cluster_at("local://"), LocalRay)
    for address in ("auto", "127.0.0.1:6379", "ray://127.0.0.1:10001"):
        assert isinstance(cluster_at(address), RunningRay)
    with pytest.raises(UnreachableError, match=r"slurm://gpu names no kind .*local://, ray://"):
        cluster_at("slurm://gpu")


def test_a_new_kind_serves_the_command_line(tmp_path: Path) -> None:
    assert "away" not in KINDS
    environment = extended_package(
        tmp_path,
        "cluster",
        {"kinds/away.py": AWAY},
        ("kinds/__init__.py", "KINDS = {", '    "away": "cluster.kinds.away:Away",'),
    )
    (tmp_path / "spec.yaml").write_text(tiny_spec(resources={"workers": 2}).to_yaml())
    done = subprocess.run(
        [sys.executable, "-m", "study.cli", "study", "run", "spec.yaml", "--address", "away://x"],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert "away://x is away, 2 workers must wait" in done.stderr
