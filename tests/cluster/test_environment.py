"""The environment that Ray and its clients read."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.environment import ADDRESSES, only_address, require_listener
from study.errors import UnreachableError
from tests.helpers.ray_nodes import TOKEN, free_ports


def after_import(given: dict[str, str], before: str = "pass") -> dict[str, str]:
    """Environment of a process that has imported `cluster`."""
    code = f"{before}; import cluster, json, os; print(json.dumps(dict(os.environ)))"
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **given},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_a_token_is_sent_where_there_is_one(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert "RAY_AUTH_MODE" not in after_import(home)
    assert after_import({**home, "RAY_AUTH_TOKEN": "a"})["RAY_AUTH_MODE"] == "token"
    (tmp_path / TOKEN).parent.mkdir()
    (tmp_path / TOKEN).write_text("a")
    assert after_import(home)["RAY_AUTH_MODE"] == "token"
    assert after_import({**home, "RAY_AUTH_MODE": "disabled"})["RAY_AUTH_MODE"] == "disabled"
    # Ray has decided already; its processes would decide otherwise.
    assert "RAY_AUTH_MODE" not in after_import(home, "import ray")


@pytest.mark.parametrize("proxy", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_no_proxy_stands_before_this_machine(proxy: str) -> None:
    found = after_import({proxy: "http://proxy:3128", "no_proxy": "example.org"})
    assert found["no_proxy"] == "example.org,localhost,127.0.0.1,::1"
    assert found["NO_PROXY"] == "localhost,127.0.0.1,::1"
    assert "no_proxy" not in after_import({})


def test_a_typed_address_hides_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ADDRESSES:
        monkeypatch.setenv(name, "elsewhere:1")
    with only_address("http://127.0.0.1:8265"):
        assert not set(ADDRESSES) & set(os.environ)
    assert all(os.environ[name] == "elsewhere:1" for name in ADDRESSES)
    with only_address("auto"):
        assert all(os.environ[name] == "elsewhere:1" for name in ADDRESSES)


@pytest.mark.parametrize("form", ["{}:{}", "http://{}:{}", "ray://{}:{}/", "http://{}:{}/path"])
def test_a_listener_is_seen_at_once(form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        require_listener(form.format("127.0.0.1", server.getsockname()[1]))
    (free,) = free_ports(1)
    with pytest.raises(UnreachableError, match=r"no Ray cluster answers at .*refused"):
        require_listener(form.format("127.0.0.1", free))


@pytest.mark.parametrize("address", ["", ":", "host", "127.0.0.1:", "127.0.0.1:99999999999999999"])
def test_what_is_no_address_is_unreachable(address: str) -> None:
    with pytest.raises(UnreachableError, match=f"no Ray cluster answers at {address} "):
        require_listener(address)


def test_an_address_that_names_no_port_is_left_to_ray() -> None:
    require_listener("auto")
    require_listener("http://cluster.example.org")
