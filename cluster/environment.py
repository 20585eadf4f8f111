"""Environment that Ray and its clients read: the token, addresses, proxies."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from study.errors import UnreachableError

AUTH_MODE, AUTH_TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"


API_SERVER = "RAY_API_SERVER_ADDRESS"
"""Variable with the address of the dashboard.

Ray Train frees the workers of a trial whose process died through it, and must use the right one
where several Rays run.
"""


ADDRESSES = (API_SERVER, "RAY_ADDRESS")
"""Variables that name a cluster. Ray prefers them to an address that is passed to it."""


LISTENER_S = 10.0


_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def prepare() -> None:
    """Prepares this process for clusters that ask for a token, and for proxies.

    Ray decides when it is imported if it sends a token, so this comes first. `ray start` asks for
    the user's token where there is one, its clients send it only where `RAY_AUTH_MODE` says so; a
    cluster that asks for none ignores it.
    """
    if AUTH_MODE not in os.environ and has_token() and "ray" not in sys.modules:
        os.environ[AUTH_MODE] = "token"
    if any(name.lower() in ("http_proxy", "all_proxy") for name in os.environ):
        for name in ("no_proxy", "NO_PROXY"):
            hosts = [host for host in os.environ.get(name, "").split(",") if host]
            missing = [host for host in _LOOPBACK if host not in hosts]
            os.environ[name] = ",".join([*hosts, *missing])


def has_token() -> bool:
    """True if Ray would find a token of this user."""
    if AUTH_TOKEN in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        return True
    try:
        return (Path.home() / ".ray" / "auth_token").is_file()
    except (OSError, RuntimeError):
        return False


def token_refused(address: str) -> UnreachableError:
    """Error of a cluster that asks for another token than this user's."""
    return UnreachableError(
        f"the cluster at {address} asks for a token that this user does not have: `ray "
        f"get-auth-token` prints it on its head node; put it into ~/.ray/auth_token or {AUTH_TOKEN}"
        f", and leave {AUTH_MODE} unset"
    )


def require_listener(address: str) -> None:
    """Raises an error at once where nothing listens, for which Ray would wait most of a minute.

    Args:
        address: HOST:PORT, or a URL with both; others are not looked at.

    Raises:
        UnreachableError: Nothing listens there, or there can be no such place.
    """
    host, _, port = address.rpartition("://")[2].partition("/")[0].rpartition(":")
    if (not port.isdigit() and "://" in address) or address == "auto":
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), LISTENER_S).close()
    except (OSError, OverflowError, ValueError) as error:
        raise UnreachableError(
            f"no Ray cluster answers at {address} ({error}): start one with `ray start --head`, or "
            "give another --address"
        ) from error


@contextmanager
def only_address(address: str) -> Iterator[None]:
    """Hides `ADDRESSES` for a block, unless `auto` refers to them."""
    saved = {name: os.environ.pop(name) for name in ADDRESSES if name in os.environ}
    try:
        if address == "auto":
            os.environ.update(saved)
        yield
    finally:
        os.environ.update(saved)
