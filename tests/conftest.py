from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, NoReturn

import pytest

pytest.register_assert_rewrite("tests.helpers")


# Two workers of pytest-xdist on two cores are slowed down by more threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")


INTEGRATION = Path(__file__).parent / "integration"


# A shell that starts the tests in the background has them, and every process of theirs, ignore
# Ctrl-C; some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fault-rounds",
        type=int,
        default=1,
        metavar="N",
        help="repeat the kills of tests/integration/test_faults.py so many times",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks integration tests, and forms the groups of `--dist loadgroup`.

    The tests that start Ray, which all have `cache` among their fixtures, are one group, which
    comes first because it takes longest: two Rays at a time would starve each other of two cores.
    Any other module is a group, so that its fixtures are set up once.
    """
    ray: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        group = item.location[0]
        if INTEGRATION in item.path.parents:
            item.add_marker(pytest.mark.integration)
            if "cache" in getattr(item, "fixturenames", ()):
                group = "ray"
        item.add_marker(pytest.mark.xdist_group(group))
        (ray if group == "ray" else others).append(item)
    items[:] = ray + others


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
