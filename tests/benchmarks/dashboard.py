"""The study page of 2 000 trials × 100 reports, beside optuna-dashboard on the same journal.

`python -m tests.benchmarks.dashboard [--optuna-dashboard PROGRAM] [--trials N] [--folder FOLDER]`

optuna-dashboard is installed for this alone, in an environment of its own. Every figure is wall
time, with the server's CPU time beside it where that is what it is made of.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from playwright.sync_api import Browser, Page, Response, sync_playwright

from dashboards.figures import history
from dashboards.figures.history import HistoryInfo, draw_curves
from dashboards.study_page import PARTS
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.results.reader import StudyReader
from tests.benchmarks.large_study import large_spec, make, train_one
from tests.helpers.chromium import installed_chromium
from tests.helpers.html import FLAGS

FOLLOWED_TRIALS = 400
"""Trials of the study that gets one more while its page is open."""

FIRST_PLOT = ".js-plotly-plot .scatterlayer .trace"
LAST_PLOT = f"#history-dev_accuracy {FIRST_PLOT}"
WAIT_MS = 600_000


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        url: Its address.
        ready_s: Seconds from its start to its first answer.
        process: Its number.
    """

    url: str
    ready_s: float
    process: int

    @property
    def cpu_s(self) -> float:
        """CPU seconds up to now."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def peak_mb(self) -> float:
        """Greatest memory up to now."""
        status = Path(f"/proc/{self.process}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024


@contextmanager
def serving(*command: str) -> Iterator[Server]:
    """Starts a server with `--port` and a free port, and ends it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url, began = f"http://127.0.0.1:{port}/", time.monotonic()
    process = subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while process.poll() is None:
            try:
                urllib.request.urlopen(url).read()
                break
            except urllib.error.URLError:
                time.sleep(0.02)
        yield Server(url, time.monotonic() - began, process.pid)
    finally:
        process.terminate()
        process.wait()


def program(name: str) -> str:
    """Path of a program of this environment."""
    return str(Path(sys.executable).with_name(name))


def opened(browser: Browser, url: str, *plots: str) -> tuple[Page, list[float], list[Response]]:
    """Opens a page; gives the seconds until each plot is there, and all that was sent."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    sent: list[Response] = []
    page.on("response", lambda response: sent.append(response))  # noqa: PLW0108 (playwright marks it)
    began, seconds = time.monotonic(), []
    page.goto(url, wait_until="commit")
    for plot in plots:
        page.wait_for_selector(plot, timeout=WAIT_MS, state="attached")
        seconds.append(time.monotonic() - began)
    return page, seconds, sent


def heap_mb(page: Page) -> float:
    """JavaScript's heap after a garbage collection."""
    page.context.new_cdp_session(page).send("HeapProfiler.collectGarbage")
    return float(page.evaluate("performance.memory.usedJSHeapSize")) / 1e6


def measure_page(browser: Browser, folder: Path) -> float:
    """Prints the figures of our page; gives the seconds from its address to the first plot."""
    with serving(program("cpc"), "dashboard", str(folder)) as server:
        print(f"server ready: {server.ready_s:.2f} s, {server.cpu_s:.2f} s of CPU")
        page, (first_s, last_s), sent = opened(browser, server.url, FIRST_PLOT, LAST_PLOT)
        page.wait_for_timeout(2000)
        sizes = [(each.url, len(each.body())) for each in sent]
        whole = sum(size for _, size in sizes) / 1e6
        libraries = sum(size for url, size in sizes if "component-suites" in url) / 1e6
        print(f"first plot: {first_s:.2f} s; last plot: {last_s:.2f} s")
        print(f"payload: {whole - libraries:.2f} MB, and {libraries:.2f} MB of libraries")
        print(f"JS heap: {heap_mb(page):.0f} MB")
        print(f"server: {server.cpu_s:.2f} s of CPU, peak {server.peak_mb:.0f} MB")
        page.close()
        return first_s


def measure_optuna_dashboard(browser: Browser, command: str, folder: Path) -> float:
    """Prints the same figures of optuna-dashboard."""
    with serving(command, str(folder / "journal.log")) as server:
        print(f"optuna-dashboard ready: {server.ready_s:.2f} s, {server.cpu_s:.2f} s of CPU")
        url = f"{server.url}dashboard/studies/0"
        page, (first_s,), sent = opened(browser, url, FIRST_PLOT)
        page.wait_for_timeout(2000)
        whole = sum(len(each.body()) for each in sent) / 1e6
        print(f"optuna-dashboard first plot: {first_s:.2f} s; all that was sent: {whole:.2f} MB")
        print(f"optuna-dashboard JS heap: {heap_mb(page):.0f} MB")
        print(f"optuna-dashboard: {server.cpu_s:.2f} s of CPU, peak {server.peak_mb:.0f} MB")
        page.close()
        return first_s


def measure_choice(folder: Path) -> None:
    """Prints the server's time for the curves of another metric, and for a page of some trials."""
    record = StudyReader(StudyFolder(folder)).read()
    info = history.FIGURE.info(record)
    assert isinstance(info, HistoryInfo)
    began = time.monotonic()
    curves = history.curves_of(record, "dev_loss")
    draw_curves(replace(info, curves={"dev_loss": curves}), "dev_loss").to_json()
    print(f"another metric drawn: {time.monotonic() - began:.2f} s")
    began = time.monotonic()
    some = tuple(trial for trial in record.trials if trial.knobs["adversary"] == "fgsm")
    filtered = replace(record, trials=some)
    for name in ("temperature", "ranking", "history"):
        PARTS[name](filtered)
        print(f"a filter, up to {name}: {time.monotonic() - began:.2f} s")


def measure_commands(folder: Path) -> None:
    """Prints the time of the command line, and the size of the report."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "report.html")
        for arguments in (
            ("study", "best", str(folder), "--top", "20"),
            ("report", str(folder), "-o", str(report)),
        ):
            before, began = os.times(), time.monotonic()
            subprocess.run([program("cpc"), *arguments], check=True, capture_output=True)
            wall_s, after = time.monotonic() - began, os.times()
            cpu_s = after.children_user + after.children_system
            cpu_s -= before.children_user + before.children_system
            print(f"cpc {' '.join(arguments[:-2])}: {wall_s:.2f} s, {cpu_s:.2f} s of CPU")
        print(f"report.html: {report.stat().st_size / 1e6:.2f} MB")


def measure_following(browser: Browser, reports: int) -> None:
    """Prints how long an open page takes to show one more trial, and what that costs."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "study")
        make(folder, FOLLOWED_TRIALS, reports, left=3)
        spec = large_spec(FOLLOWED_TRIALS, reports)
        store = Dispatcher.create_or_open(StudyFolder(folder), spec, "c" * 64, "sample: 106 clips")
        with serving(program("cpc"), "dashboard", str(folder)) as server:
            page, _, _ = opened(browser, server.url, FIRST_PLOT, LAST_PLOT)
            for _ in range(2):
                page.wait_for_timeout(4000)
                ended, before = store.ended + 1, server.cpu_s
                train_one(store)
                began = time.monotonic()
                page.wait_for_selector(f"text={ended} of {spec.planned_trials}", timeout=WAIT_MS)
                shown_s = time.monotonic() - began
                page.wait_for_timeout(1500)
                cpu_s = server.cpu_s - before
                print(f"one more trial at {ended}: shown {shown_s:.2f} s, {cpu_s:.2f} s of CPU")
            page.close()
        store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--optuna-dashboard", metavar="PROGRAM")
    parser.add_argument("--folder", type=Path, help="a study that large_study has made")
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--reports", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder = options.folder or Path(scratch, "study")
        if not folder.exists():
            make(folder, options.trials, options.reports)
        print(json.dumps({"trials": len(StudyReader(StudyFolder(folder)).read().trials)}))
        chromium, flags = installed_chromium(), [*FLAGS, "--enable-precise-memory-info"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        ours_s = measure_page(browser, folder)
        if options.optuna_dashboard:
            theirs_s = measure_optuna_dashboard(browser, options.optuna_dashboard, folder)
            print(f"first plot ÷ optuna-dashboard's: {ours_s / theirs_s:.2f}")
        measure_choice(folder)
        measure_commands(folder)
        measure_following(browser, options.reports)
        browser.close()


if __name__ == "__main__":
    main()
