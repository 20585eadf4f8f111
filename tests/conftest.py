from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, NoReturn

import pytest
from xdist.scheduler import LoadScopeScheduling

pytest.register_assert_rewrite("tests.helpers")


# Two workers of pytest-xdist on two cores are slowed down by more threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")


INTEGRATION = Path(__file__).parent / "integration"

RAY_MODULES = {
    INTEGRATION / f"test_{name}.py"
    for name in (
        "batches",
        "cluster_kind",
        "control",
        "damage",
        "disk_full",
        "embedding",
        "faults",
        "importing",
        "inline",
        "jobs",
        "soak",
        "start",
        "stops",
        "stores",
        "study_run",
        "token",
    )
}
"""Modules in it whose tests start Ray."""


# A shell that starts the tests in the background has them, and every process of theirs, ignore
# Ctrl-C, and `nohup` a hang-up; some tests send them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fault-rounds",
        type=int,
        default=1,
        metavar="N",
        help="repeat the kills of tests/integration/test_faults.py so many times",
    )


def starts_ray(item: pytest.Item) -> bool:
    """True if a test starts Ray: then it has the integration tests' `cache` among its fixtures."""
    return INTEGRATION in item.path.parents and "cache" in getattr(item, "fixturenames", ())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks integration tests, and puts those that start Ray first, because they take longest."""
    for item in items:
        if INTEGRATION in item.path.parents:
            item.add_marker(pytest.mark.integration)
        if starts_ray(item) and item.path not in RAY_MODULES:
            raise pytest.UsageError(f"{item.path} starts Ray: list it in RAY_MODULES")
    items.sort(key=lambda item: item.path not in RAY_MODULES)


class RayTogether(LoadScopeScheduling):  # type: ignore[misc]
    """Gives all tests that start Ray to one worker, and each other module to one.

    Two Rays at a time would starve each other of two cores. (The groups of `--dist loadgroup` have
    no effect with pytest 9.2 and pytest-xdist 3.8.)
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "ray" if INTEGRATION.parents[1] / path in RAY_MODULES else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return RayTogether(config, log)


@pytest.fixture(autouse=True)
def no_ray_in_unit_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets no test outside tests/integration start Ray."""
    if "integration" in request.keywords:
        return

    def refuse(*_: Any, **__: Any) -> NoReturn:
        pytest.fail("a unit test starts Ray: move it to tests/integration")

    monkeypatch.setattr("ray.init", refuse)


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """A folder without a sibling: studies in the same parent folder reuse each other's trials."""
    own = tmp_path / "own"
    own.mkdir()
    return own
