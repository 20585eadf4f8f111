"""The real server in a real browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import dashboards.app
from cpc_core.corpus.audit.samples import COLUMNS
from dashboards.app import create_app, open_server
from dashboards.audit.page import write_audit
from dashboards.export.report import write_report
from study.folders.study_folder import StudyFolder
from study.results.reader import StudyReader
from study.results.records import StudyRecord
from tests.helpers import records
from tests.helpers.audits import AUDIT, SAMPLES
from tests.helpers.chromium import installed_chromium
from tests.helpers.html import FLAGS, WAIT_MS, Watched
from tests.helpers.specs import tiny_spec


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = installed_chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


CURVES = (
    "[...document.querySelectorAll('#history-dev_accuracy .scatterlayer .js-line')]"
    ".reduce((count, line) => count + line.getAttribute('d').split('M').length - 1, 0)"
)
"""Number of lines that are drawn; those of one colour are one path with gaps."""


def curves(page: Page) -> int:
    """Number of learning curves that are drawn."""
    return int(page.evaluate(CURVES))


class Study:
    """A study folder whose record the test decides."""

    def __init__(self, folder: Path, record: StudyRecord) -> None:
        self.folder, self.record = folder, record
        (folder / "spec.yaml").write_text(tiny_spec().to_yaml())
        (folder / "journal.log").write_text("")

    def becomes(self, record: StudyRecord) -> None:
        self.record = record
        with (self.folder / "journal.log").open("a") as journal:
            journal.write("x")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    made = Study(tmp_path, records.running_study())
    monkeypatch.setattr(StudyReader, "read", lambda _: made.record)
    return made


@pytest.fixture
def url(study: Study) -> Iterator[str]:
    server = open_server(create_app(StudyFolder(study.folder)), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_dashboard_renders_follows_the_study_and_stays_at_home(
    browser: Browser, study: Study, url: str
) -> None:
    watched = Watched(browser, 1280)
    page = watched.page
    page.goto(url)
    page.wait_for_selector("#temperature-figure .scatterlayer .trace", timeout=WAIT_MS)
    page.wait_for_selector("#history-dev_accuracy .scatterlayer .trace", timeout=WAIT_MS)
    assert page.locator(".state").inner_text() == "in progress"
    # Curves of four cells, and an end mark for the diverged and for the running one.
    assert watched.lines("history-dev_accuracy") == 6
    assert curves(page) == 7

    study.becomes(records.temperature_study((1.0, 0.2, 0.05), 3))
    page.wait_for_selector("text=18 of 18", timeout=WAIT_MS)
    page.wait_for_function(f"{CURVES} === 18", timeout=WAIT_MS)
    # Means, seeds and intervals of two lines, with arrow heads where intervals are cut.
    cuts = page.evaluate(
        "document.querySelector('#temperature-figure .js-plotly-plot')"
        ".data.filter(trace => trace.meta === 'cut').length"
    )
    assert watched.lines("temperature-figure") == 2 + 2 + 2 + cuts
    assert page.locator("table.trials tbody tr").count() == 18

    requests = len(watched.requests)
    page.wait_for_timeout(2 * dashboards.app.POLL_MS)
    assert len(watched.requests) == requests, "a finished study is not polled"
    assert watched.complaints == []
    assert watched.hosts == {"127.0.0.1"}
    page.close()


def test_a_click_on_a_heading_sorts(browser: Browser, study: Study, url: str) -> None:
    study.becomes(records.temperature_study())
    watched = Watched(browser, 1280)
    page = watched.page
    page.goto(url)
    heading = page.locator("table.trials th", has_text="Dev mAP").locator("button")
    for order, sign in (("ascending", 1), ("descending", -1)):
        heading.click()
        page.wait_for_selector(
            f"table.trials th[aria-sort={order}] >> text=Dev mAP", timeout=WAIT_MS
        )
        values = [
            float(text) for text in page.locator("table.trials td:nth-child(6)").all_inner_texts()
        ]
        assert values == sorted(values, key=lambda value: sign * value)
    assert watched.complaints == []
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_report_opens_without_a_network(browser: Browser, tmp_path: Path, width: int) -> None:
    report = write_report(records.epsilon_study(), tmp_path / "report.html")
    watched = Watched(browser, width)
    page = watched.page
    page.goto(report.as_uri())
    page.wait_for_selector("#history-dev_accuracy .scatterlayer .trace", timeout=WAIT_MS)
    assert watched.lines("epsilon-published") == 3
    assert watched.lines("history-dev_accuracy") == 7
    assert curves(page) == 21
    page.locator("table.trials th", has_text="Outcome").locator("button").click()
    page.locator("table.trials th", has_text="Trial").locator("button").click()
    page.locator("table.trials th", has_text="Trial").locator("button").click()
    assert page.locator("table.trials tbody tr td:first-child").first.inner_text() == "20"
    assert not watched.scrolls_sideways()
    assert watched.complaints == []
    assert watched.hosts == set()
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_audit_page_opens_without_a_network(browser: Browser, tmp_path: Path, width: int) -> None:
    out = write_audit(AUDIT, SAMPLES, tmp_path / "deep" / "audit.html")
    assert [path.name for path in out.parent.iterdir()] == ["audit.html"]
    watched = Watched(browser, width)
    page = watched.page
    page.goto(out.as_uri())
    page.wait_for_selector("#labels-figure .barlayer .trace", timeout=WAIT_MS)
    assert page.evaluate("document.querySelector('.samples img').naturalWidth") == COLUMNS
    assert not watched.scrolls_sideways()
    assert watched.complaints == []
    assert watched.hosts == set()
    page.close()
