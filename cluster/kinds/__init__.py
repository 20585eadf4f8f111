"""Kinds of cluster that a study can run on, and the table that finds one by its address."""

from __future__ import annotations

from importlib import import_module

from cluster.kinds.base import ClusterKind
from study.errors import UnreachableError

KINDS = {
    "local": "cluster.kinds.local:LocalRay",
    "ray": "cluster.kinds.running:RunningRay",
}
"""Class of each scheme. A new kind is a file in this folder and a line here."""


def cluster_at(address: str | None) -> ClusterKind:
    """Cluster that an address names.

    Args:
        address: `SCHEME://…` of one of `KINDS`; `auto` or HOST:PORT of a running Ray; None for a
            Ray on this machine.

    Raises:
        UnreachableError: There is no such kind.
    """
    scheme = "local" if address is None else "ray"
    if address is not None and "://" in address:
        scheme = address.partition("://")[0]
    if scheme not in KINDS:
        raise UnreachableError(
            f"--address {address} names no kind of cluster: use HOST:PORT, auto, or one of "
            f"{', '.join(f'{kind}://' for kind in KINDS)}"
        )
    module, _, name = KINDS[scheme].partition(":")
    kind: ClusterKind = getattr(import_module(module), name)(address)
    return kind
