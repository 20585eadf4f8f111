"""Studies whose folder is in an object store: fsspec's in memory, and a real server of the S3
protocol on loopback.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
import torch

from cpc_core import load
from cpc_core.checkpoint import save_checkpoint
from cpc_core.errors import CheckpointError, ConfigError, CpcError
from cpc_core.export.first_weights import read_first_weights
from cpc_core.export.writer import export_model
from cpc_core.step import TrainState
from cpc_core.storage_path import StoragePath
from study.dispatch.dispatcher import Dispatcher
from study.errors import UnreachableError
from study.folders.checkpoints import checkpoint_step
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import TrialFolder
from study.results.reader import StudyReader, read_study
from study.storage import object_store
from study.storage.backends import driver_of
from study.storage.object_store import ObjectJournal, objects_of
from tests.helpers.cli import cpc_process
from tests.helpers.specs import TINY_BASE, tiny_spec
from tests.helpers.studies import CORPUS, asked, entry, log_up_to, opened, writes


@pytest.fixture
def place(bucket: str) -> StoragePath:
    """A study folder in a bucket of the S3 protocol."""
    return StoragePath.of(f"{bucket}/{uuid4().hex}/study")


@pytest.fixture
def leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that are renewed often."""
    monkeypatch.setattr(object_store, "RENEW_S", 0.1)


def test_study_on_s3_is_driven_read_and_shown(bucket: str, tmp_path: Path) -> None:
    uri = f"{bucket}/a/tiny"
    with opened(StoragePath.of(uri), tiny_spec()) as store:
        first = asked(store)
        log_up_to(store, first, 10, 20, outcome="complete")
        store.trial_folder(first.number).save_checkpoint(20, writes(b"weights"))
    before = StudyReader(StudyFolder(StoragePath.of(uri))).revision()
    with opened(StoragePath.of(uri), tiny_spec()) as store:
        assert asked(store).number == 1
        store.tell(1, "complete", {"dev_map": 0.25})
    assert StudyReader(StudyFolder(StoragePath.of(uri))).revision() != before
    record = read_study(StudyFolder(StoragePath.of(uri)))
    assert [trial.outcome for trial in record.trials] == ["complete"] * 2
    assert [report.step for report in record.trials[0].history.reports] == [10, 20]
    shown = cpc_process("study", "show", uri, "-o", "json", cwd=tmp_path)
    assert [row["outcome"] for row in json.loads(shown.out)] == ["complete"] * 2
    assert cpc_process("report", uri, "-o", "report.html", cwd=tmp_path).code == 0
    missing = cpc_process("study", "show", f"{bucket}/nothing", cwd=tmp_path)
    assert (missing.code, missing.err) == (
        3,
        f"cpc: there is no study {bucket}/nothing: start one with "
        f"`cpc study run SPEC.yaml -o {bucket}/nothing`, or correct the address\n",
    )
    assert cpc_process("study", "show", "s3://nowhere/study", cwd=tmp_path).code in (3, 4)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("journal/000000000000.jsonl", b'{"op_code": 99}\n'),
        ("journal/000000000000.jsonl", b"null\n"),
        ("journal/000000000000.jsonl", b"\xff\n"),
        ("journal/other.jsonl", b"{}\n"),
        ("drivers/driver.json", b"{}"),
        ("drivers/driver.json", b'{"process": 1}'),
        ("spec.yaml", b"name: {"),
        ("provenance.json", b"[]"),
    ],
)
def test_damaged_objects_are_one_sentence(place: StoragePath, name: str, content: bytes) -> None:
    with opened(place, tiny_spec()) as store:
        log_up_to(store, asked(store), 10)
    (place / name).write_bytes(content)
    with pytest.raises(ConfigError, match=name.partition("/")[0]):
        read_study(StudyFolder(place))
        driver_of(StudyFolder(place))
        StudyFolder(place).provenance()
    if name.startswith(("journal", "drivers")):
        with pytest.raises(ConfigError, match="is damaged"), opened(place, tiny_spec()):
            pass


def test_credentials_are_those_of_the_tools_of_the_store(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    with (
        pytest.raises(UnreachableError, match=r"no credentials.*AWS_ACCESS_KEY_ID"),
        opened(StoragePath.of(f"{bucket}/one"), tiny_spec()),
    ):
        pass
    file.write_text("[default]\naws_access_key_id = test\naws_secret_access_key = test\n")
    with opened(StoragePath.of(f"{bucket}/two"), tiny_spec()) as store:
        assert asked(store).number == 0


def test_store_without_conditional_writes_is_refused() -> None:
    with (
        pytest.raises(ConfigError, match=r"memory://.* cannot keep trials.*PostgreSQL"),
        opened(StoragePath.of("memory://here/study"), tiny_spec()),
    ):
        pass


def test_bucket_that_is_not_there_is_one_sentence(bucket: str) -> None:
    with (
        pytest.raises(
            UnreachableError, match=r"s3://nowhere/tiny cannot be used .*check the address"
        ),
        opened(StoragePath.of("s3://nowhere/tiny"), tiny_spec()),
    ):
        pass


def test_log_on_s3_grows_and_is_rewound(bucket: str) -> None:
    trial = TrialFolder(f"{bucket}/tiny", 7)
    assert trial.log() == ()
    for step in (10, 20, 30):
        trial.append(entry(step))
    trial.rewind(20)
    assert trial.log() == (entry(10), entry(20))
    trial.create(tiny_spec().config({}, 3))
    assert trial.config() == tiny_spec().config({}, 3)


@pytest.mark.parametrize("store", ["s3", "memory"])
def test_only_complete_checkpoints_exist_and_two_stay(
    bucket: str, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    uri = f"{bucket}/tiny" if store == "s3" else f"memory://{uuid4().hex}/study"
    study = StoragePath.of(uri)
    trial = TrialFolder(study, 3)
    with pytest.raises(CheckpointError, match="trial 3"):
        TrialFolder(study, 3).require_checkpoint()

    def killed(place: StoragePath, content: bytes) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(StoragePath, "write_bytes", killed)
        trial.save_checkpoint(10, writes(b"half"))
    assert trial.path.walk_files().keys() == {"checkpoint-000000010/state.pt"}
    assert trial.checkpoint() is None
    for step, content in ((990, b"a"), (1000, b"b"), (1010, b"c"), (1010, b"again")):
        trial.save_checkpoint(step, writes(content))
    newest = TrialFolder(study, 3).require_checkpoint()
    assert checkpoint_step(newest) == 1010
    assert (newest / "state.pt").read_bytes() == b"again"
    complete = {
        name.partition("/")[0] for name in trial.path.walk_files() if name.endswith("complete.json")
    }
    assert complete == {"checkpoint-000001000", "checkpoint-000001010"}


def test_journal_is_read_while_it_is_written(
    place: StoragePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "ENTRIES", 3)
    backend, objects = object_store.ObjectStore(StudyFolder(place), tiny_spec()), objects_of(place)
    with closing(backend), backend.exclusive():
        writer, reader = ObjectJournal(objects, backend), ObjectJournal(objects)
        entries = [{"number": number} for number in range(11)]
        for number, made in enumerate(entries):
            writer.append_logs([made])
            for begin in range(number + 2):
                assert (
                    list(reader.read_logs(begin))
                    == list(writer.read_logs(begin))
                    == entries[begin : number + 1]
                )
        assert list(ObjectJournal(objects, backend).read_logs(0)) == entries
    assert sorted((place / "journal").file_sizes()) == [
        f"{begin:012d}.jsonl" for begin in (0, 3, 6, 9)
    ]


@pytest.mark.usefixtures("leases")
def test_second_driver_is_refused_by_the_first_ones_number(place: StoragePath) -> None:
    with opened(place, tiny_spec()):
        for _ in range(2):
            with (
                pytest.raises(
                    CpcError, match=f"is being run by process {os.getpid()} on .*PostgreSQL"
                ),
                opened(place, tiny_spec()),
            ):
                pass
        assert (driver_of(StudyFolder(place)) or "").startswith(f"process {os.getpid()} on ")
    assert driver_of(StudyFolder(place)) is None
    began = time.monotonic()
    with opened(place, tiny_spec()):
        assert time.monotonic() - began < object_store.LEASE_S


@pytest.mark.usefixtures("leases")
def test_of_drivers_that_start_together_one_runs_the_study(place: StoragePath) -> None:
    backends = [object_store.ObjectStore(StudyFolder(place), tiny_spec()) for _ in range(6)]
    refused: list[str] = []

    def start(backend: object_store.ObjectStore) -> None:
        try:
            with backend.exclusive():
                pass
        except CpcError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=start, args=(backend,)) for backend in backends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 5
    for backend in backends:
        backend.close()


@pytest.mark.usefixtures("leases")
def test_lease_of_a_crashed_driver_is_outlasted(
    place: StoragePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "LEASE_S", 3.0)
    (place / "drivers" / "driver.json").write_bytes(
        json.dumps({"process": 1, "machine": "far", "renewals": 7, "released": False}).encode()
    )
    began = time.monotonic()
    with opened(place, tiny_spec()):
        assert 3.0 < time.monotonic() - began < 30


def test_study_of_the_version_without_conditions_opens(place: StoragePath) -> None:
    """Its drivers had an object each, which one that crashed has left."""
    with opened(place, tiny_spec()) as store:
        store.tell(asked(store).number, "complete", {"dev_map": 0.5})
    (place / "drivers").remove()
    left = {"process": 1, "machine": "far", "numbered_in": "elsewhere", "renewals": 3}
    (place / "drivers" / "0123456789ab.json").write_bytes(json.dumps(left).encode())
    assert driver_of(StudyFolder(place)) is None
    began = time.monotonic()
    with opened(place, tiny_spec()) as store:
        assert asked(store).number == 1
    assert time.monotonic() - began < object_store.LEASE_S
    assert [trial.outcome for trial in read_study(StudyFolder(place)).trials] == [
        "complete",
        "running",
    ]


@pytest.mark.usefixtures("leases")
def test_driver_that_lost_its_lease_writes_nothing_more(place: StoragePath) -> None:
    with (
        pytest.raises(UnreachableError, match="could not be reached"),
        opened(place, tiny_spec()) as store,
    ):
        asked(store)
        (place / "drivers").remove()
        time.sleep(0.5)
        with pytest.raises(UnreachableError):
            store.check()
        with pytest.raises(UnreachableError):
            store.tell(0, "complete", {"dev_map": 0.5})
    assert {trial.outcome for trial in read_study(StudyFolder(place)).trials} == {
        "running",
        "waiting",
    }


def test_suspended_driver_that_was_followed_writes_nothing(
    place: StoragePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread sleeps with it, and its clock shows nothing, as that of a suspended machine."""
    monkeypatch.setattr(object_store, "LEASE_S", 1000)
    monkeypatch.setattr(object_store, "RENEW_S", 1000)
    with (
        pytest.raises(UnreachableError, match="another driver has written"),
        opened(place, tiny_spec()) as suspended,
    ):
        first = asked(suspended)
        backend = object_store.ObjectStore(StudyFolder(place), tiny_spec())
        with monkeypatch.context() as short:
            short.setattr(object_store, "LEASE_S", 0.5)
            short.setattr(object_store, "RENEW_S", 0.1)
            with backend.exclusive():
                pass
        with closing(Dispatcher(StudyFolder(place), tiny_spec(), CORPUS, backend)) as follower:
            assert asked(follower) == first
            suspended.check()
            with pytest.raises(UnreachableError, match="another driver has written"):
                suspended.tell(first.number, "complete", {"dev_map": 0.5})
            assert {trial.outcome for trial in read_study(StudyFolder(place)).trials} == {
                "running",
                "waiting",
            }
            follower.tell(first.number, "complete", {"dev_map": 0.5})
    assert driver_of(StudyFolder(place)) is None


def test_killed_driver_on_s3_is_followed(bucket: str, tmp_path: Path) -> None:
    uri, file = f"{bucket}/tiny", tmp_path / "spec.yaml"
    file.write_text(tiny_spec(seeds=[0, 1]).to_yaml())
    command = [sys.executable, "-m", "tests.helpers.simulated_driver", uri, str(file), "2"]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    begun = json.loads(killed.stdout.readline())[0]
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    resumed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert resumed.returncode == 0, resumed.stderr
    seen = [json.loads(line)[0] for line in resumed.stdout.splitlines()]
    assert begun in seen
    assert len(seen) == len(set(seen))
    record = read_study(StudyFolder(StoragePath.of(uri)))
    assert [trial.outcome for trial in record.trials] == ["complete"] * 4
    for trial in record.trials:
        assert [report.step for report in trial.history.reports] == [10, 20, 30]


def test_an_export_goes_to_a_store_and_comes_from_it(bucket: str, tmp_path: Path) -> None:
    state = TrainState.create(tiny_spec().config({}, 0), torch.device("cpu"))
    save_checkpoint(state, {}, tmp_path)
    export_model(tmp_path, f"{bucket}/model", {"study": "before"}, ["pt2"])
    checked = cpc_process("exports", "verify", f"{bucket}/model", cwd=tmp_path)
    assert "10 files as exported" in checked.err
    export_model(tmp_path, f"{bucket}/model", {"study": "after"})
    export_model(tmp_path, tmp_path / "model", {"study": "after"})
    audio = torch.randn(9_000) * 0.1
    places = (f"{bucket}/model", tmp_path / "model")
    stored, local = (load(place)(audio).frames[0] for place in places)
    assert torch.equal(stored, local)
    assert cpc_process("exports", "verify", f"{bucket}/model", cwd=tmp_path).code == 0
    shown = cpc_process("exports", "show", f"{bucket}/model", "-o", "json", cwd=tmp_path)
    assert json.loads(shown.out)["study"] == "after"

    place = StoragePath.of(f"{bucket}/model")
    assert not (place / "model.pt2").exists()
    warm = {**TINY_BASE, "initialisation": {"model": str(place), "model_hash": "other"}}
    with pytest.raises(ConfigError, match="restore that export"):
        tiny_spec(base=warm, space={}).require_models()
    first = {"model": str(place), "model_hash": read_first_weights(place).hash}
    tiny_spec(base={**TINY_BASE, "initialisation": first}, space={}).require_models()
    (place / "notes.txt").write_bytes(b"precious")
    with pytest.raises(ConfigError, match=r"it has notes\.txt"):
        export_model(tmp_path, place, {})
    (place / "manifest.json").remove()
    with pytest.raises(CheckpointError, match="is no export: manifest"):
        load(place)
