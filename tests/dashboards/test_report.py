from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from dash import dcc, html

from dashboards.drawing.panels import TablePanels
from dashboards.drawing.theme import PLOTLY_CONFIG
from dashboards.export.html import to_html
from dashboards.export.report import report_html, write_report
from dashboards.figures import epsilon
from dashboards.tables import Sort, beside_published, provenance_list, trial_table
from study.analysis.claims import claim_infos
from study.analysis.tables import TrialTableInfo, trial_table_info
from study.results.records import StudyRecord
from study.spec.claims import Claim
from tests.helpers import records
from tests.helpers.html import Document
from tests.helpers.records import trial

ROW = r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>"


def document(record: StudyRecord) -> Document:
    page = Document(report_html(record))
    assert page.open == []
    return page


STUDIES = {
    "temperature": (
        records.temperature_study(),
        {"temperature-figure", "ranking-figure", "history-dev_accuracy", "trials"},
    ),
    "epsilon": (
        records.epsilon_study(),
        {"epsilon-figure", "epsilon-published", "ranking-figure", "trials"},
    ),
    "sampling": (
        records.sampling_study(),
        {"sampling-figure", "sampling-published", "ranking-figure", "trials"},
    ),
    "running": (
        records.running_study(),
        {"temperature-figure", "ranking-figure", "history-train_accuracy", "trials"},
    ),
    "diverged": (
        records.diverged_study(),
        {"temperature", "ranking", "history-dev_accuracy", "trials"},
    ),
    "empty": (records.empty_study(), {"ranking", "history", "trials"}),
    "search": (
        records.search_study(),
        {"temperature-figure", "epsilon-figure", "sampling-figure", "trials"},
    ),
}


@pytest.mark.parametrize("name", STUDIES)
def test_page_shows_the_figures_that_make_sense(name: str) -> None:
    record, expected = STUDIES[name]
    ids = document(record).ids
    assert expected <= ids
    for knob in (
        {"temperature", "epsilon", "sampling"} - {name}
        if name in ("temperature", "epsilon", "sampling")
        else set()
    ):
        assert knob not in ids


def test_report_asks_the_network_for_nothing() -> None:
    page = document(records.epsilon_study())
    loading = [
        (tag, name, value)
        for tag, name, value in page.attributes
        if name in ("src", "href", "srcset", "action", "data")
    ]
    assert loading == [("link", "href", "data:,")]
    style = (Path(__file__).parents[2] / "dashboards" / "assets" / "style.css").read_text(
        encoding="utf-8"
    )
    assert "url(" not in style and "@import" not in style


def test_plotly_is_inlined_once_without_its_upload_button() -> None:
    source = report_html(records.temperature_study())
    assert len(re.findall(r"plotly\.js v\d", source)) == 1
    config = json.loads(re.findall(r"^const config = (.*);$", source, re.MULTILINE)[0])
    assert config == PLOTLY_CONFIG
    assert (config["showSendToCloud"], config["displaylogo"]) == (False, False)


def test_report_says_answer_numbers_and_sources() -> None:
    text = document(records.epsilon_study()).text
    for words in (
        "Does training on adversarial audio help",
        "Ahead, but undecided: FGSM, ε = −55 dB.",
        "The paper, Table 1 AudioSet, 512 channels, 400 k steps",
        "0.275",
        "21 of 21",
        "sample: 106 clips",
        "hardware.memory_gib 16",
    ):
        assert words in text


def test_claims_are_answered_first() -> None:
    better, none = {"adversary": "fgsm", "epsilon_db": "best"}, {"adversary": "none"}
    claims = (
        Claim.model_validate({"question": "Does the best ε help?", "better": better, "than": none}),
        Claim.model_validate(
            {
                "question": "Does it lower accuracy?",
                "metric": "dev_accuracy",
                "better": none,
                "than": better,
            }
        ),
    )
    assert "claims" not in document(records.epsilon_study()).ids
    record = replace(records.epsilon_study(seeds=8), claims=claims)
    text = document(record).text
    for info in claim_infos(record):
        assert f"{info.question} {info.answer.capitalize()} {info.words}" in text
    assert text.index("Claims") < text.index("Size of the perturbation")
    source = report_html(record)
    assert 'class="verdict supported"' in source


def test_paper_and_study_share_the_rows_of_the_table() -> None:
    source, _ = to_html(_epsilon_table())
    rows = re.findall(ROW, source)
    cells = {name: re.findall(r'<td class="number paper">(.*?)</td>', row) for name, row in rows}
    assert cells["−55 dB"] == ["0.963", "0.886", "0.275"]
    assert cells["no adversary"] == ["0.970", "0.905", "0.268"]
    assert len(rows) == 7


def test_another_adversary_is_not_set_beside_the_papers() -> None:
    record = records.epsilon_study()
    first = len(record.trials)
    pgd = [
        trial(
            first + seed, {"adversary": "pgd", "epsilon_db": -55.0}, seed, metrics={"dev_map": 0.5}
        )
        for seed in range(3)
    ]
    info = epsilon.FIGURE.info(replace(record, trials=(*record.trials, *pgd)))
    assert isinstance(info, TablePanels)
    source, _ = to_html(beside_published("Perturbation ε", info))
    cells = {
        name: re.findall(r'<td class="number paper">(.*?)</td>', row)
        for name, row in re.findall(ROW, source)
    }
    assert cells["PGD, −55 dB"] == ["–", "–", "–"]
    assert cells["FGSM, −55 dB"] == ["0.963", "0.886", "0.275"]


def _epsilon_table() -> Any:
    info = epsilon.FIGURE.info(records.epsilon_study())
    assert isinstance(info, TablePanels)
    return beside_published("Perturbation ε", info)


def test_a_study_cannot_inject_markup() -> None:
    record = replace(
        records.search_study(),
        name="<script>alert(1)</script>",
        question='"><img src=x onerror=alert(1)>',
    )
    source = report_html(record)
    assert "<script>alert" not in source and "<img" not in source
    assert "RuntimeError: &lt;worker&gt; died twice" in source


def test_figures_cannot_end_their_script() -> None:
    _, figures = to_html(
        dcc.Graph(
            id="g", figure=go.Figure(layout={"title": "</script><b>"}), style={"height": "1px"}
        )
    )
    assert "<" not in figures["g"]
    assert json.loads(figures["g"])["layout"]["title"]["text"] == "</script><b>"


def test_report_is_written_whole(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "report.html"
    assert write_report(records.temperature_study(), out) == out
    assert out.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]


def test_components_become_html() -> None:
    data: dict[str, Any] = {"data-value": '"q"'}
    node = html.Table(html.Td(["a & b", None, 3], colSpan=2, className="x", **data), tabIndex=0)
    assert (
        to_html(node)[0]
        == '<table tabindex="0"><td class="x" colspan="2" data-value="&quot;q&quot;">'
        "a &amp; b3</td></table>"
    )


def _column(sort: Sort, index: int) -> list[str]:
    info = trial_table_info(records.running_study())
    assert isinstance(info, TrialTableInfo)
    source, _ = to_html(trial_table(info, sort))
    rows = re.findall(r"<tr>(<td.*?)</tr>", source)
    return [re.sub(r"<.*?>", "", re.findall(r"<td.*?</td>", row)[index]) for row in rows]


def test_trial_table_sorts_and_keeps_what_is_missing_last() -> None:
    rising, falling = (
        _column(Sort("metric:dev_map", descending=False), 5),
        _column(Sort("metric:dev_map", descending=True), 5),
    )
    assert rising[:5] == sorted(rising[:5]) and falling[:5] == rising[4::-1]
    assert rising[5:] == falling[5:] == ["–"] * 5
    assert _column(Sort("number", descending=True), 0) == [
        str(number) for number in range(9, -1, -1)
    ]


def test_long_provenance_is_folded() -> None:
    source, _ = to_html(provenance_list({"git": {"diff": "x" * 500, "dirty": False}}))
    assert "<dt>git.diff</dt><dd><details><summary>500 characters</summary>" in source
    assert "<dt>git.dirty</dt><dd>False</dd>" in source
