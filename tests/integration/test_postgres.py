"""Studies whose trials are in a PostgreSQL database, against a real server."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cpc_core.errors import ConfigError, CpcError
from study.dispatch import dispatcher
from study.errors import NotFoundError, UnreachableError
from study.folders.study_folder import StudyFolder
from study.results.reader import StudyReader, read_study
from study.spec.study_spec import StudySpec
from study.storage import postgres as backend
from study.storage.backends import storage_errors, storage_of
from study.storage.postgres import connect, is_locked
from tests.helpers.cli import cpc_process
from tests.helpers.postgres import PASSWORD, USER, Server, running
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import asked, opened, train

GRID = {"temperature": [0.05, 0.1, 0.2, 0.3], "negatives": ["cross", "local", "exclusive"]}


SEARCH = {"epsilon_db": {"low": -80, "high": -30}, "adversary": ["fgsm"]}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "POLL_S", 0.05)
    monkeypatch.setattr(backend, "CHECK_S", 0)


def test_drivers_at_the_same_time_share_a_grid(tmp_path: Path, postgres: Server) -> None:
    spec = tiny_spec(store=postgres.url(), space=GRID, seeds=[0, 1])
    with opened(tmp_path, spec) as one, opened(tmp_path, spec) as two:
        turns = [(one, asked(one)), (two, asked(two)), (two, asked(two)), (one, asked(one))]
        while (assignment := one.ask()) is not None:
            turns.append((one, assignment))
        assert two.ask() is None
        for driver, given in turns:
            driver.tell(given.number, "complete", {"dev_map": 0.5})
        assert one.finished and two.finished
    assert sorted(given.number for _, given in turns) == list(range(24))
    assert len({given.trial_id for _, given in turns}) == 24
    assert len(read_study(StudyFolder(tmp_path)).trials) == 24


def test_drivers_at_the_same_time_propose_each_point_once(tmp_path: Path, postgres: Server) -> None:
    spec = tiny_spec(
        store=postgres.url(), space=SEARCH, sampler={"kind": "random", "trials": 6}, seeds=[0, 1]
    )
    with opened(tmp_path, spec) as one, opened(tmp_path, spec) as two:
        given = [asked(driver) for _ in range(6) for driver in (one, two)]
        assert one.ask() is None and two.ask() is None
    assert len({each.sample["epsilon_db"] for each in given}) == 6
    assert len({each.trial_id for each in given}) == 12
    assert {trial.outcome for trial in read_study(StudyFolder(tmp_path)).trials} == {"running"}


def test_pruner_sees_the_trials_of_every_driver(tmp_path: Path, postgres: Server) -> None:
    pruner = {"kind": "median", "startup_trials": 2}
    spec = tiny_spec(
        store=postgres.url(), space=GRID, objective={"metric": "dev_accuracy"}, pruner=pruner
    )
    with opened(tmp_path, spec) as one, opened(tmp_path, spec) as two:
        for value in (0.8, 0.9):
            good = asked(one)
            one.report(good.number, 10, {"dev_accuracy": value})
            one.tell(good.number, "complete", {"dev_accuracy": value})
        bad = asked(two)
        two.report(bad.number, 10, {"dev_accuracy": 0.2})
        assert two.should_prune(bad.number)


def test_running_trial_is_acquired_only_from_an_ended_driver(
    tmp_path: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tiny_spec(store=postgres.url())
    with (
        pytest.raises(psycopg.OperationalError, match=r"terminat|closed|lost"),
        opened(tmp_path, spec) as one,
    ):
        first, second = asked(one), asked(one)
        with opened(tmp_path, spec) as two:
            assert two.ask() is None
            assert not two.finished
            one.tell(second.number, "complete", {"dev_map": 0.5})
            end_connections(postgres)
            assert two.ask() is None, "its workers may still be writing"
            monkeypatch.setattr(backend, "GRACE_S", 0)
            assert two.wait_for_trial(lambda: False) == first
            two.tell(first.number, "complete", {"dev_map": 0.5})
            assert two.wait_for_trial(lambda: False) is None
    assert [trial.outcome for trial in read_study(StudyFolder(tmp_path)).trials] == ["complete"] * 2


def end_connections(postgres: Server) -> None:
    """Ends the connections that hold locks, as the death of a driver does."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        )


def test_acquired_trial_is_locked_however_busy_it_was(tmp_path: Path, postgres: Server) -> None:
    with opened(tmp_path, tiny_spec(store=postgres.url())):
        pass
    other = storage_of(StudyFolder(tmp_path))
    with closing(storage_of(StudyFolder(tmp_path))) as driver, connect(postgres.url()) as observer:
        other.acquire(7)
        threading.Timer(0.3, other.close).start()
        driver.acquire(7)
        assert is_locked(observer, f"{driver.name} trial 7")
        driver.release(7)
        assert not is_locked(observer, f"{driver.name} trial 7")


def test_observer_sees_the_locks_of_its_own_database(tmp_path: Path, postgres: Server) -> None:
    with opened(tmp_path, tiny_spec(store=postgres.url())):
        pass
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE beside")
    with (
        closing(storage_of(StudyFolder(tmp_path))) as driver,
        connect(postgres.url()) as observer,
        connect(postgres.url("beside")) as far,
    ):
        names = [f"{driver.name} trial {number}" for number in range(16)]
        for number in range(0, 16, 2):
            driver.acquire(number)
        assert [is_locked(observer, name) for name in names] == [True, False] * 8
        assert not any(is_locked(far, name) for name in names)


def test_waiting_for_others_can_be_interrupted(tmp_path: Path, postgres: Server) -> None:
    spec = tiny_spec(store=postgres.url())
    with opened(tmp_path, spec) as one, opened(tmp_path, spec) as two:
        assert [asked(one).number, asked(one).number] == [0, 1]
        looks = iter([False, True])
        assert two.wait_for_trial(lambda: next(looks)) is None


class Process:
    """A driver of its own."""

    def __init__(self, folder: Path, spec: StudySpec, at_a_time: int) -> None:
        file = folder.with_suffix(".yaml")
        file.write_text(spec.to_yaml())
        command = [
            sys.executable,
            "-m",
            "tests.helpers.simulated_driver",
            str(folder),
            str(file),
            str(at_a_time),
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def next_trial(self) -> int:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return int(json.loads(line)[0])

    def finish(self) -> list[tuple[int, dict[str, Any], int]]:
        out, errors = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, errors
        return [tuple(json.loads(line)) for line in out.splitlines()]


@pytest.mark.parametrize("kind", ["grid", "search"])
def test_a_driver_finishes_the_trials_of_a_killed_one(
    tmp_path: Path, postgres: Server, kind: str
) -> None:
    changes: dict[str, Any] = (
        {"space": GRID}
        if kind == "grid"
        else {"space": SEARCH, "sampler": {"kind": "tpe", "trials": 12}}
    )
    spec, folder = tiny_spec(store=postgres.url(), seeds=[0, 1], **changes), tmp_path / "study"
    killed, other = Process(folder, spec, 3), Process(folder, spec, 2)
    begun = [killed.next_trial() for _ in range(3)]
    killed.process.send_signal(signal.SIGKILL)
    killed.process.communicate()
    seen = [number for number, *_ in other.finish()]
    record = read_study(StudyFolder(folder))
    assert record.finished
    assert [trial.outcome for trial in record.trials] == ["complete"] * 24
    assert len({trial.trial_id for trial in record.trials}) == 24
    for trial in record.trials:
        assert [report.step for report in trial.history.reports] == [10, 20, 30]
    assert set(begun) <= set(seen)
    assert len(seen) == len(set(seen))


def test_studies_that_share_a_database_do_not_meet(tmp_path: Path, postgres: Server) -> None:
    spec = tiny_spec(store=postgres.url())
    with opened(tmp_path / "a", spec) as one, opened(tmp_path / "b", spec) as two:
        assert asked(one).number == asked(two).number == 0
    assert [len(read_study(StudyFolder(tmp_path / name)).trials) for name in "ab"] == [2, 2]


def test_budget_counts_the_trials_of_every_driver(tmp_path: Path, postgres: Server) -> None:
    spec = tiny_spec(store=postgres.url(), space=GRID, budget={"trials": 3})
    with opened(tmp_path, spec) as one:
        asked(one)
        with opened(tmp_path, spec) as two:
            assert [asked(two).number, asked(two).number] == [1, 2]
            assert one.ask() is None and two.ask() is None


def test_other_place_for_the_trials_is_refused(tmp_path: Path, postgres: Server) -> None:
    with opened(tmp_path, tiny_spec()):
        pass
    with pytest.raises(
        ConfigError,
        match=rf"keeps its trials in its journal, not in {postgres.url()}: .*cpc study resume",
    ):
        dispatcher.Dispatcher.create_or_open(
            StudyFolder(tmp_path), tiny_spec(store=postgres.url()), "c" * 64, ""
        )


def test_revision_changes_when_a_trial_begins_or_ends(tmp_path: Path, postgres: Server) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE fresh")
    spec = tiny_spec(store=postgres.url("fresh"))
    with opened(tmp_path, tiny_spec()):
        (tmp_path / "spec.yaml").write_text(spec.to_yaml())
    assert read_study(StudyFolder(tmp_path)).trials == ()
    with connect(postgres.url("fresh")) as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchone() == (0,)
    reader = StudyReader(StudyFolder(tmp_path))
    found = [reader.revision(), reader.revision()]
    with opened(tmp_path, spec) as one:
        found.append(reader.revision())
        assignment = asked(one)
        found.append(reader.revision())
        one.tell(assignment.number, "complete", {"dev_map": 0.5})
        found.append(reader.revision())
    assert found[0] == found[1]
    assert len(set(found)) == 4
    with connect(postgres.url("fresh")) as connection:
        study_id = StudyFolder(tmp_path).provenance()["study_id"]
        rows = connection.execute("SELECT study, count(*) FROM cpc_journal GROUP BY study")
        ((name, entries),) = rows.fetchall()
    assert (name, entries > 0) == (f"tiny-{spec.hash}-{study_id}", True)


def test_driver_whose_connection_is_cut_stops(tmp_path: Path, postgres: Server) -> None:
    spec = tiny_spec(store=postgres.url())
    with (
        pytest.raises(UnreachableError, match="nothing of the study is lost"),
        storage_errors(StudyFolder(tmp_path), storage_of(StudyFolder(tmp_path), spec)),
        opened(tmp_path, spec) as one,
    ):
        first = asked(one)
        one.check()
        end_connections(postgres)
        with pytest.raises(psycopg.OperationalError):
            one.check()
        with pytest.raises(psycopg.OperationalError):
            one.tell(first.number, "complete", {"dev_map": 0.5})
    assert {trial.outcome for trial in read_study(StudyFolder(tmp_path)).trials} == {
        "running",
        "waiting",
    }


def test_what_lies_behind_wrapped_errors_is_said(tmp_path: Path, postgres: Server) -> None:
    def wrapped() -> None:
        try:
            psycopg.connect(postgres.url("nowhere"))
        except psycopg.Error:
            raise RuntimeError("a long traceback") from None

    with (
        pytest.raises(NotFoundError, match=r'database "nowhere" does not exist.*createdb'),
        storage_errors(
            StudyFolder(tmp_path),
            storage_of(StudyFolder(tmp_path), tiny_spec(store=postgres.url("nowhere"))),
        ),
    ):
        wrapped()
    with (
        pytest.raises(ZeroDivisionError),
        storage_errors(
            StudyFolder(tmp_path),
            storage_of(StudyFolder(tmp_path), tiny_spec(store=postgres.url())),
        ),
    ):
        raise ZeroDivisionError


@pytest.mark.usefixtures("postgres_server")
def test_server_that_does_not_answer_is_exit_code_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with running() as server:
        spec = tiny_spec(store=server.url())
        assert train(tmp_path / "s", spec) == 2
        server.stop()
        with pytest.raises(
            UnreachableError, match=f"127.0.0.1:{server.port}/postgres does not answer"
        ):
            read_study(StudyFolder(tmp_path / "s"))
        shown = cpc_process("study", "show", "s", cwd=tmp_path)
        assert (shown.code, shown.err.count("\n")) == (4, 1)
        server.start()
        assert [trial.outcome for trial in read_study(StudyFolder(tmp_path / "s")).trials] == [
            "complete"
        ] * 2


def test_wrong_password_and_missing_database_are_one_sentence(
    tmp_path: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(kind: type[CpcError], database: str = "postgres") -> str:
        with (
            pytest.raises(kind) as error,
            opened(tmp_path / "study", tiny_spec(store=postgres.url(database))),
        ):
            pass
        return str(error.value)

    assert re.search(
        r'nowhere is not there .*"nowhere" does not exist.*createdb',
        refused(NotFoundError, "nowhere"),
    )
    monkeypatch.setenv("PGPASSWORD", "guessed")
    message = refused(ConfigError)
    assert re.search(r"refuses the user .*password authentication failed.*PGPASSWORD", message)
    assert "guessed" not in message
    monkeypatch.delenv("PGPASSWORD")
    assert re.search(r"refuses the user .*no password supplied", refused(ConfigError))


def test_missing_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "study.storage.postgres")
    with pytest.raises(ConfigError, match=r"pip install 'cpc-study\[postgres\]'"):
        dispatcher.Dispatcher.create_or_open(
            StudyFolder(tmp_path), tiny_spec(store="postgresql://me@127.0.0.1:1/none"), "", ""
        )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@host/db",
        "postgresql://host/db?user=me&password=secret",
        "postgresql://:secret@host/db",
    ],
)
def test_password_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    (tmp_path / "spec.yaml").write_text(tiny_spec().to_yaml())
    result = cpc_process("study", "validate", "spec.yaml", "--set", f"store={url}", cwd=tmp_path)
    assert result.code == 2
    assert "PGPASSWORD" in result.err
    assert "secret" not in result.err


@pytest.mark.parametrize(
    "url", ["sqlite:///study.db", "mysql://host/db", "postgresql://host", "host/db"]
)
def test_other_stores_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no store: name a database as postgresql://"):
        tiny_spec(store=url)


def test_password_reaches_no_file(tmp_path: Path, postgres: Server) -> None:
    assert train(tmp_path, tiny_spec(store=postgres.url())) == 2
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or PASSWORD.encode() not in path.read_bytes()
    assert USER.encode() in (tmp_path / "spec.yaml").read_bytes()


def test_store_is_not_part_of_what_is_asked(postgres: Server) -> None:
    assert tiny_spec().hash == tiny_spec(store=postgres.url()).hash
