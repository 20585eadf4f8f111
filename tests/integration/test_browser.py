"""The real server in a real browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
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
from study.results.watcher import LiveStudy
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


AXES = (
    "(({xaxis, yaxis}) => [xaxis.range, yaxis.range])"
    "(document.querySelector('#history-dev_accuracy .js-plotly-plot').layout)"
)
"""Limits of a figure's axes."""


SEEN_AT = "window.seen.getBoundingClientRect().top"


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


def test_what_a_reader_has_chosen_survives_the_study_s_growth(
    browser: Browser, study: Study, url: str
) -> None:
    """Zoom, focus, scroll, an open detail and the order of the table."""
    before = records.running_study()
    long = replace(before, provenance={**before.provenance, "difference": "x" * 500})
    study.becomes(long)
    watched = Watched(browser, 1280)
    page = watched.page
    page.goto(url)
    page.wait_for_selector("#history-dev_accuracy .scatterlayer .trace", timeout=WAIT_MS)
    page.locator("#history-dev_accuracy").hover()
    page.locator("#history-dev_accuracy .modebar-btn[data-title=Zoom]").click()
    box = page.locator("#history-dev_accuracy .nsewdrag").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 90, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 250, box["y"] + 160, steps=5)
    page.mouse.up()
    zoomed = page.evaluate(AXES)
    assert zoomed[0][1] < 1000
    page.locator("#provenance summary").click()
    heading = page.locator("table.trials th", has_text="Trial").locator("button").first
    heading.click()
    page.wait_for_selector("table.trials th[aria-sort=descending] >> text=Trial", timeout=WAIT_MS)
    heading.focus()
    page.evaluate("scrollTo(0, 700)")
    page.evaluate("window.plot = document.querySelector('#history-dev_accuracy svg'), null")
    page.evaluate("window.seen = document.elementFromPoint(640, 9), null")
    place = page.evaluate(SEEN_AT)

    grown = records.temperature_study((1.0, 0.2, 0.05), 3)
    study.becomes(replace(grown, provenance=long.provenance))
    page.wait_for_selector("text=18 of 18", timeout=WAIT_MS)
    page.wait_for_function(f"{CURVES} === 18", timeout=WAIT_MS)
    assert page.evaluate("window.plot === document.querySelector('#history-dev_accuracy svg')")
    assert page.evaluate(AXES) == zoomed
    assert page.locator("#provenance details").evaluate("details => details.open")
    assert page.evaluate("document.activeElement.innerText") == "Trial"
    # What is above has grown: not the number of pixels stays, but what the reader sees.
    assert page.evaluate(SEEN_AT) == pytest.approx(place, abs=2)
    assert page.locator("table.trials tbody td").first.inner_text() == "17"
    assert watched.complaints == []
    page.close()


def test_a_long_table_has_pages(browser: Browser, study: Study, url: str) -> None:
    study.becomes(records.search_study(230))
    watched = Watched(browser, 1280)
    page = watched.page
    page.goto(url)
    page.wait_for_selector("text=1 – 100 of 230 trials", timeout=WAIT_MS)
    assert page.locator("table.trials tbody tr").count() == 100
    assert page.get_by_text("← Previous").is_disabled()
    for text in ("101 – 200 of 230 trials", "201 – 230 of 230 trials"):
        page.get_by_text("Next →").click()
        page.wait_for_selector(f"text={text}", timeout=WAIT_MS)
    assert page.get_by_text("Next →").is_disabled()
    assert page.locator("table.trials tbody td").first.inner_text() == "200"
    page.locator("table.trials th", has_text="Trial").locator("button").first.click()
    page.wait_for_selector("text=1 – 100 of 230 trials", timeout=WAIT_MS)
    assert page.locator("table.trials tbody td").first.inner_text() == "229"
    assert watched.complaints == []
    page.close()


def test_a_poll_waits_for_the_last_answer(
    browser: Browser, study: Study, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study that takes longer to read than the time between polls is followed all the same."""
    asked, answered = list[float](), list[float]()

    def slow(live: LiveStudy) -> tuple[str, StudyRecord]:
        asked.append(time.monotonic())
        time.sleep(1.5 * dashboards.app.POLL_MS / 1000)
        answered.append(time.monotonic())
        return latest(live)

    watched = Watched(browser, 1280)
    page = watched.page
    page.goto(url)
    page.wait_for_selector("#history-dev_accuracy .scatterlayer .trace", timeout=WAIT_MS)
    latest = LiveStudy.latest
    monkeypatch.setattr(LiveStudy, "latest", slow)
    page.wait_for_timeout(dashboards.app.POLL_MS)
    study.becomes(records.temperature_study((1.0, 0.2, 0.05), 3))
    page.wait_for_selector("text=18 of 18", timeout=WAIT_MS)
    assert all(later > earlier for earlier, later in zip(answered, asked[1:], strict=False))
    assert watched.complaints == []
    page.close()
