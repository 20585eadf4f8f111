"""The product uses public interfaces of Ray, Optuna and plotly, so that many versions serve."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


PACKAGES = ("cpc_core", "search_spaces", "study", "cluster", "dashboards")


LIBRARIES = ("ray", "optuna", "plotly")


PUBLIC = ("_exit", "_replace")
"""Documented names of the standard library: `os._exit`, `namedtuple._replace`."""


EXCEPTIONS: dict[str, str] = {}
"""Modules that use a private name, each with the reason. There is none."""


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


def hidden(path: str) -> bool:
    """True if a module's path is not public."""
    return path.startswith("ray.dashboard.utils") or any(map(private, path.split(".")))


def imports(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Line, local name and full path of everything that a module imports from the libraries."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.asname or alias.name.partition(".")[0], alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield node.lineno, alias.asname or alias.name, f"{node.module}.{alias.name}"


def own_names(tree: ast.AST) -> set[str]:
    """Private names that a module defines itself: of functions, classes, fields and variables."""
    found = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id in ("self", "cls")
        ):
            found.add(node.attr)
    return found


def violations(source: str) -> list[str]:
    """Private names of the libraries that a module uses, each with its line."""
    tree = ast.parse(source)
    of_libraries = [
        (line, name, path)
        for line, name, path in imports(tree)
        if path.partition(".")[0] in LIBRARIES
    ]
    found = [f"{line}: {path}" for line, _, path in of_libraries if hidden(path)]
    if not of_libraries:
        return found
    own = own_names(tree)
    for node in ast.walk(tree):
        # An object of a library is not always known as one: a private name counts as foreign unless
        # the module defines it.
        if isinstance(node, ast.Attribute) and private(node.attr) and node.attr not in own:
            found.append(f"{node.lineno}: {ast.unparse(node)}")
        elif isinstance(node, ast.keyword) and node.arg and private(node.arg):
            found.append(f"{node.value.lineno}: {node.arg}=")
    return found


def modules() -> list[str]:
    return [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    ]


@pytest.mark.parametrize("module", modules())
def test_module_uses_public_names_only(module: str) -> None:
    found = violations((ROOT / module).read_text())
    if module in EXCEPTIONS:
        assert found, f"{module} needs its exception no more"
    else:
        assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "from ray._private import worker",
        "import ray._private.worker as worker",
        "from ray.train.v2._internal.execution.controller import TrainController",
        "from ray.dashboard.utils import get_address_for_submission_client",
        "from optuna.storages import _CachedStorage",
        "import ray\nray.init(_temp_dir='x')",
        "import optuna\ndef read(study: optuna.Study) -> object:\n    return study._storage",
        "import ray\nray.worker._worker_logs_enabled = False",
    ],
)
def test_private_names_are_found(source: str) -> None:
    assert len(violations(source)) == 1


def test_own_private_names_are_not_taken_for_foreign_ones() -> None:
    source = "import ray\nclass A:\n    def __init__(self) -> None:\n        self._a = self._b()\n"
    assert violations(f"{source}    def _b(self) -> int:\n        return self._a\n") == []
