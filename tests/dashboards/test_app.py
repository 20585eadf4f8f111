from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from dash import Dash

from cpc_core.errors import ConfigError, CpcError
from dashboards.app import POLL_MS, ListenError, PortTakenError, create_app, open_server
from study.folders.study_folder import StudyFolder
from study.results.reader import StudyReader
from study.results.records import StudyRecord
from study.results.watcher import LiveStudy
from tests.helpers import records
from tests.helpers.specs import tiny_spec


def folder_with_logs(folder: Path) -> Path:
    trial = folder / "trials" / "t00000"
    trial.mkdir(parents=True)
    (folder / "spec.yaml").write_text(tiny_spec().to_yaml())
    (folder / "journal.log").write_text("a")
    (trial / "metrics.jsonl").write_text("{}\n")
    return folder


def test_revision_changes_with_every_log_and_with_nothing_else(tmp_path: Path) -> None:
    folder = folder_with_logs(tmp_path)
    seen = {StudyReader(StudyFolder(folder)).revision()}
    assert StudyReader(StudyFolder(folder)).revision() in seen
    (folder / "report.html").write_text("not part of it")
    assert StudyReader(StudyFolder(folder)).revision() in seen
    (folder / "journal.log").write_text("ab")
    seen.add(StudyReader(StudyFolder(folder)).revision())
    with (folder / "trials" / "t00000" / "metrics.jsonl").open("a") as log:
        log.write("{}\n")
    seen.add(StudyReader(StudyFolder(folder)).revision())
    (folder / "trials" / "t00001").mkdir()
    (folder / "trials" / "t00001" / "metrics.jsonl").write_text("")
    seen.add(StudyReader(StudyFolder(folder)).revision())
    os.utime(folder / "journal.log", ns=(1, 1))
    seen.add(StudyReader(StudyFolder(folder)).revision())
    assert len(seen) == 5


def test_study_is_read_again_only_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, reads = folder_with_logs(tmp_path), list[StudyReader]()

    def read(reader: StudyReader) -> StudyRecord:
        reads.append(reader)
        return records.running_study()

    monkeypatch.setattr(StudyReader, "read", read)
    live = LiveStudy(StudyFolder(folder))
    assert live.latest()[1] is live.latest()[1]
    assert len(reads) == 1
    (folder / "journal.log").write_text("abc")
    live.latest()
    assert len(reads) == 2 and reads[0] is reads[1]


def test_what_is_written_while_reading_is_read_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, reads = folder_with_logs(tmp_path), list[int]()

    def read(_: StudyReader) -> StudyRecord:
        reads.append(1)
        if len(reads) == 1:
            (folder / "journal.log").write_text("written meanwhile")
        return records.running_study()

    monkeypatch.setattr(StudyReader, "read", read)
    live = LiveStudy(StudyFolder(folder))
    live.latest()
    live.latest()
    assert len(reads) == 2


def app_of(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[StudyReader], StudyRecord], folder: Path
) -> Dash:
    monkeypatch.setattr(StudyReader, "read", read)
    return create_app(StudyFolder(folder))


def test_a_taken_port_is_one_sentence_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_of(monkeypatch, lambda _: records.empty_study(), folder_with_logs(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            PortTakenError, match=rf"port {port} on 127\.0\.0\.1 is taken: .*--port {port + 1}"
        ) as caught:
            open_server(app, "127.0.0.1", port)
    assert isinstance(caught.value, CpcError)
    assert caught.value.port == port


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("192.0.2.1", 0, r"cannot listen at 192\.0\.2\.1, port 0 \(.+\): try --host 127\.0\.0\.1"),
        ("127.0.0.1", 70_000, r"70000 is no port: .* --port"),
    ],
)
def test_an_impossible_address_is_one_sentence(
    host: str, port: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_of(monkeypatch, lambda _: records.empty_study(), folder_with_logs(tmp_path))
    with pytest.raises(ListenError, match=words):
        open_server(app, host, port)


def test_a_folder_without_a_study_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no study"):
        create_app(StudyFolder(tmp_path))


def test_files_come_from_the_app_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_of(monkeypatch, lambda _: records.temperature_study(), folder_with_logs(tmp_path))
    index = app.server.test_client().get("/").text
    assert "https://" not in index and "http://" not in index
    assert "/assets/style.css" in index
    assert "report.js" not in index
    assert "<title>demo – CPC study</title>" in index


@pytest.mark.parametrize(
    ("record", "polls"), [(records.running_study(), True), (records.temperature_study(), False)]
)
def test_polling_ends_with_the_study(
    record: StudyRecord, polls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_of(monkeypatch, lambda _: record, folder_with_logs(tmp_path))
    layout = app.server.test_client().get("/_dash-layout").get_json()
    poll = next(child for child in layout["props"]["children"] if child["type"] == "Interval")
    assert poll["props"]["disabled"] is not polls
    assert poll["props"]["interval"] == POLL_MS >= 2000
