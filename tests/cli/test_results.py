"""Commands that read a study: results on stdout, everything else on stderr."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from study.analysis.export import json_text
from study.cli.study.watch import follow, study_view
from study.dispatch.trial_spec import TrialSpec
from study.folders.study_folder import StudyFolder
from study.planning import keep_prediction
from study.results.reader import read_study
from tests.helpers.cli import cpc, parsed
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import ended_study

CLAIM = {
    "question": "Does a low temperature help?",
    "better": {"temperature": 0.05},
    "than": {"temperature": 0.1},
}


def measured(assignment: TrialSpec) -> dict[str, float]:
    """The lower temperature is better by 0.1, give or take a few thousandths."""
    lead = 0.1 + 0.002 * (assignment.seed % 3) if assignment.sample["temperature"] == 0.05 else 0.0
    return {
        "dev_map": 0.4 + 0.01 * assignment.seed + lead,
        "dev_loss": 9.0 - lead,
        "dev_accuracy": 0.7,
    }


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a finished study of two temperatures and six seeds."""
    ended_study(
        tmp_path / "studies" / "tiny", tiny_spec(seeds=list(range(6)), claims=[CLAIM]), measured
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_compare_gives_the_paired_difference(home: Path) -> None:
    result = cpc("study", "compare", "tiny", "temperature=0.05", "temperature=0.1", "-o", "json")
    found = result.parsed()
    assert (found["first"], found["second"], found["verdict"], found["shared_seeds"]) == (
        "τ = 0.05",
        "τ = 0.1",
        "better",
        6,
    )
    assert found["better_by"] == pytest.approx(0.102)
    assert 0.099 < found["low"] < 0.102 < found["high"] < 0.105
    assert found["effect_size_hedges_g"] < found["effect_size_d_z"]
    assert (
        "better than τ = 0.1 by 0.102, 97.5 % interval [0.100, 0.104] over 6 shared seeds"
        in result.err
    )


def test_compare_by_another_metric_and_another_interval(home: Path) -> None:
    cells = ("τ = 0.1", "τ = 0.05")
    loss = cpc("study", "compare", "tiny", *cells, "--metric", "dev_loss", "-o", "json").parsed()
    assert (loss["verdict"], loss["metric"]) == ("worse", "dev_loss")
    assert loss["better_by"] == pytest.approx(-0.102)
    command = ("study", "compare", "tiny", *cells, "-o", "json")
    student = cpc(*command).parsed()
    bootstrap = cpc(*command, "--interval", "bootstrap").parsed()
    assert bootstrap["better_by"] == student["better_by"]
    assert bootstrap["low"] != student["low"]


@pytest.mark.parametrize("output", ["json", "yaml", "csv"])
def test_formats_agree_on_the_comparison(home: Path, output: str) -> None:
    cells = ("temperature=0.05", "temperature=0.1")
    found = cpc("study", "compare", "tiny", *cells, "-o", output).parsed(output)
    row = found[0] if output == "csv" else found
    table = cpc("study", "compare", "tiny", *cells).out
    assert {line.split("  ")[0].replace(" ", "_") for line in table.splitlines()} == set(row)
    assert float(row["better_by"]) == pytest.approx(0.102)


@pytest.mark.parametrize("output", ["json", "yaml", "csv"])
def test_without_cells_compare_answers_the_claims(home: Path, output: str) -> None:
    (row,) = cpc("study", "compare", "tiny", "-o", output).parsed(output)
    assert (row["answer"], row["better"], row["than"]) == ("supported", "τ = 0.05", "τ = 0.1")
    assert 0.1 < float(row["low"]) < float(row["better_by"]) < float(row["high"])
    assert "is compared with nothing" in cpc("study", "compare", "tiny", "τ = 0.1", code=2).err
    ended_study(home / "studies" / "plain", tiny_spec(name="plain"), measured)
    assert "plain makes no claims" in cpc("study", "compare", "plain", code=2).err


def test_studies_of_different_metrics_share_a_list(home: Path) -> None:
    ended_study(
        home / "studies" / "other",
        tiny_spec(name="other", objective={"metric": "dev_accuracy"}),
        measured,
    )
    rows = cpc("study", "ls", "-o", "csv").parsed("csv")
    assert [(row["study"], row["metric"]) for row in rows] == [
        ("other", "dev_accuracy"),
        ("tiny", "dev_map"),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("tiny", "temperature=0.3", "τ = 0.1"), 3, "'temperature=0.3' is no cell of tiny"),
        (
            ("tiny", "temperature=best", "τ = 0.1"),
            3,
            "'temperature=best' means 2 cells of tiny: name more knobs",
        ),
        (
            ("tiny", "τ = 0.1", "τ = 0.05", "--metric", "dev_mapp"),
            2,
            "there is no metric 'dev_mapp'; did you mean 'dev_map'?",
        ),
        (
            ("tiny", "τ = 0.1", "τ = 0.05", "--metric", "train_loss"),
            2,
            "no complete trial of 'τ = 0.1' has measured train_loss",
        ),
        (("tny", "τ = 0.1", "τ = 0.05"), 3, "there is no study 'tny' here; did you mean 'tiny'?"),
    ],
)
def test_an_impossible_comparison_is_refused(
    home: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = cpc("study", "compare", *arguments, code=code)
    assert message in result.err
    assert result.out == ""


@pytest.mark.parametrize("verb", ["show", "best"])
def test_claims_are_answered(home: Path, verb: str) -> None:
    result = cpc("study", verb, "tiny", "-o", "json")
    assert result.parsed()
    answer = (
        "Supported at the first look: τ = 0.05 is ahead of τ = 0.1 by 0.102 in dev mAP "
        "over 6 shared seeds"
    )
    assert f"Does a low temperature help?\n  {answer}" in result.err


def test_best_with_the_bootstrap_has_other_intervals(home: Path) -> None:
    student = cpc("study", "best", "tiny", "-o", "json").parsed()
    bootstrap = cpc("study", "best", "tiny", "--interval", "bootstrap", "-o", "json").parsed()
    assert [row["dev_map"] for row in student] == [row["dev_map"] for row in bootstrap]
    assert [row["low"] for row in student] != [row["low"] for row in bootstrap]


def test_best_prints_as_many_cells_as_asked_for(home: Path) -> None:
    every = cpc("study", "best", "tiny", "-o", "json").parsed()
    first = cpc("study", "best", "tiny", "--top", "1", "-o", "json")
    assert first.parsed() == every[:1] and len(every) > 1
    assert f"1 of {len(every)} cells; --top {len(every)} prints all" in first.err
    refused = cpc("study", "best", "tiny", "--top", "0", code=2)
    assert "--top 0 must be at least 1" in refused.err


def test_show_sets_time_beside_the_prediction(home: Path) -> None:
    keep_prediction(StudyFolder(home / "studies" / "tiny"), tiny_spec(), 16_000, lambda *_: 1.0)
    result = cpc("study", "show", "tiny", "-o", "csv")
    rows = result.parsed("csv")
    assert [(row["minutes"], row["predicted_minutes"]) for row in rows] == [("1.0", "0.5")] * 12
    assert (
        "12 complete trials trained 12 min 00 s, predicted 6 min 00 s (× 2.00); the study ran"
        in result.err
    )


@pytest.mark.parametrize("file_format", ["csv", "json", "parquet"])
def test_export_gives_every_number_in_every_format(home: Path, file_format: str) -> None:
    out = home / "deep" / f"trials.{file_format}"
    cpc("study", "export", "tiny", "--format", file_format, "--out", str(out))
    rows = (
        pq.read_table(out).to_pylist()
        if file_format == "parquet"
        else parsed(out.read_text(encoding="utf-8"), file_format)
    )
    assert len(rows) == 12
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    record = read_study(StudyFolder(home / "studies" / "tiny"))
    for row, trial in zip(rows, record.trials, strict=True):
        assert (int(row["trial"]), row["trial_id"], int(row["seed"])) == (
            trial.number,
            trial.trial_id,
            trial.seed,
        )
        assert (float(row["temperature"]), row["outcome"], float(row["duration_s"])) == (
            trial.knobs["temperature"],
            "complete",
            60.0,
        )
        assert {name: float(row[name]) for name in trial.metrics} == trial.metrics
        assert row["predicted_s"] in (None, "")


def test_export_of_the_logs_and_to_stdout(home: Path) -> None:
    result = cpc("study", "export", "tiny", "--rows", "reports", "--format", "json")
    rows = result.parsed()
    assert [(row["trial"], row["step"]) for row in rows] == [(number, 30) for number in range(12)]
    assert result.err == ""
    assert "Parquet is binary" in cpc("study", "export", "tiny", "--format", "parquet", code=2).err
    assert (
        "cannot be written"
        in cpc("study", "export", "tiny", "--out", "/proc/none/x.csv", code=2).err
    )


def test_what_is_not_finite_is_null_in_json() -> None:
    assert json.loads(json_text([{"a": float("nan"), "b": [float("inf"), 1.5]}])) == [
        {"a": None, "b": [None, 1.5]}
    ]


def test_watch_prints_each_change_and_ends_with_the_study(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, spec, waits = home / "studies" / "watched", tiny_spec(name="watched", seeds=[0, 1]), 0

    def wait(seconds: float) -> None:
        nonlocal waits
        assert seconds == 0.5
        waits += 1
        if waits % 2:
            ended_study(folder, spec, measured, trials=1)

    ended_study(folder, spec, measured, trials=1)
    record = follow(StudyFolder(folder), 0.5, wait)
    assert record.finished
    assert waits == 5
    printed = capsys.readouterr().err.splitlines()
    assert [line.split(" · ")[0] for line in printed] == [
        "trial 0",
        "trial 1",
        "trial 2",
        "trial 3",
    ]
    assert printed[2] == "trial 2 · τ = 0.05 · seed 1: complete at step 30, dev mAP 0.512"
    result = cpc("study", "watch", "watched", "-o", "json")
    assert [row["dev_map"] for row in result.parsed()] == [
        trial.metrics["dev_map"] for trial in record.trials
    ]
    assert "4 trials: 4 complete" in result.err


def test_on_a_terminal_watch_shows_the_latest_trials(home: Path) -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(study_view(read_study(StudyFolder(home / "studies" / "tiny")), "ended"))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "tiny, ended: 12 of 12 trials ended" in shown
    assert "Best: τ = 0.05." in shown
    assert "0.450" in shown


@pytest.mark.parametrize("verb", ["ls", "presets"])
@pytest.mark.parametrize("output", ["json", "yaml", "csv"])
def test_lists_come_in_every_format(home: Path, verb: str, output: str) -> None:
    rows = cpc("study", verb, "-o", output).parsed(output)
    assert rows
    if verb == "ls":
        assert {str(row["study"]) for row in rows} == {"tiny"}


def test_exit_codes_are_documented_where_studies_are() -> None:
    assert "Exit codes: 0 done · 1 the study" in " ".join(cpc("study", "--help").out.split())
