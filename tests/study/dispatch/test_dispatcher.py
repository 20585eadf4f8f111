from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
from optuna.trial import Trial, TrialState

from cpc_core.errors import ConfigError, CpcError
from cpc_core.report import FinalOutcome
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.spec.study_spec import StudySpec
from study.storage import postgres
from tests.helpers import specs
from tests.helpers.postgres import Server
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import CORPUS, asked, log_up_to, opened, run_through, states


@pytest.fixture(autouse=True, params=["journal", "postgres"])
def every_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs each test with the trials in a journal, and with the trials in a database."""
    kind: str = request.param
    if kind == "postgres":
        server: Server = request.getfixturevalue("postgres")
        monkeypatch.setattr(specs, "STORE", server.url())
        monkeypatch.setattr(postgres, "GRACE_S", 0)
    return kind


def test_grid_plans_every_cell_with_every_seed_cells_first(tmp_path: Path) -> None:
    spec = tiny_spec(
        space={"temperature": [0.05, 0.1], "negatives": ["cross", "local"]}, seeds=[3, 7]
    )
    with opened(tmp_path, spec) as store:
        assignments = [asked(store) for _ in range(8)]
        assert store.ask() is None
    assert [assignment.number for assignment in assignments] == list(range(8))
    assert [assignment.seed for assignment in assignments] == [3] * 4 + [7] * 4
    assert [dict(assignment.sample) for assignment in assignments[:4]] == spec.space.grid()
    assert len({assignment.trial_id for assignment in assignments}) == 8
    assert [assignment.cell_id for assignment in assignments[:4]] == [
        assignment.cell_id for assignment in assignments[4:]
    ]
    assert all(
        assignment.config == spec.config(assignment.sample, assignment.seed)
        for assignment in assignments
    )


def test_opening_again_plans_nothing_twice(tmp_path: Path) -> None:
    spec = tiny_spec(seeds=[0, 1])
    for _ in range(2):
        with opened(tmp_path, spec) as store:
            assert len(store.trials()) == 4


def test_trial_left_running_is_handed_out_again_first(tmp_path: Path) -> None:
    with opened(tmp_path, tiny_spec()) as store:
        first = asked(store)
        store.report(first.number, 10, {"dev_map": 0.25})
    with opened(tmp_path, tiny_spec()) as store:
        assert asked(store) == first
        store.report(first.number, 10, {"dev_map": 0.75})
        assert store.trials()[0].intermediate_values == {10: 0.25}
        assert asked(store).number == 1


def test_trial_that_ended_before_its_driver_could_tell_is_not_trained_again(tmp_path: Path) -> None:
    with opened(tmp_path, tiny_spec()) as store:
        first = asked(store)
        log_up_to(store, first, 10, 20, outcome="complete")
        store.trial_folder(first.number).save_checkpoint(20, lambda folder: None)
    with opened(tmp_path, tiny_spec()) as store:
        assert asked(store).number == 1
        assert states(store)[0] == TrialState.COMPLETE
        assert store.trials()[0].intermediate_values == {10: 0.5, 20: 0.5}


def test_final_log_line_without_its_checkpoint_is_trained_again(tmp_path: Path) -> None:
    with opened(tmp_path, tiny_spec()) as store:
        first = asked(store)
        log_up_to(store, first, 10, 20, outcome="complete")
        store.trial_folder(first.number).save_checkpoint(10, lambda folder: None)
    with opened(tmp_path, tiny_spec()) as store:
        assert asked(store) == first


@pytest.mark.parametrize(
    ("outcome", "state", "value"),
    [
        ("complete", TrialState.COMPLETE, 0.5),
        ("pruned", TrialState.PRUNED, 0.4),
        ("diverged", TrialState.FAIL, None),
        ("failed", TrialState.FAIL, None),
        ("cancelled", TrialState.FAIL, None),
    ],
)
def test_each_outcome_is_recorded_as_what_it_is(
    tmp_path: Path, outcome: FinalOutcome, state: TrialState, value: float | None
) -> None:
    with opened(tmp_path, tiny_spec()) as store:
        first = asked(store)
        store.report(first.number, 10, {"dev_map": 0.4})
        store.tell(first.number, outcome, {"dev_map": 0.5}, "why")
        assert (states(store)[0], store.trials()[0].value) == (state, value)
    record = read_study(StudyFolder(tmp_path)).trials[0]
    assert (record.outcome, record.reason, record.metrics) == (outcome, "why", {"dev_map": 0.5})


@pytest.mark.parametrize("metrics", [{}, {"dev_map": math.nan}, {"dev_map": math.inf}])
def test_complete_without_a_finite_objective_counts_as_failed(
    tmp_path: Path, metrics: dict[str, float]
) -> None:
    with opened(tmp_path, tiny_spec()) as store:
        first = asked(store)
        store.tell(first.number, "complete", metrics)
    record = read_study(StudyFolder(tmp_path)).trials[0]
    assert record.outcome == "failed"
    assert "no finite dev_map" in record.reason


def test_telling_adds_reports_that_only_the_log_has(tmp_path: Path) -> None:
    with opened(tmp_path, tiny_spec(objective={"metric": "dev_accuracy"})) as store:
        first = asked(store)
        store.report(first.number, 10, {"dev_accuracy": 0.99})
        log_up_to(store, first, 10, 20, 30)
        store.tell(first.number, "complete", {"dev_accuracy": 0.3})
        assert store.trials()[0].intermediate_values == {10: 0.99, 20: 0.2, 30: 0.3}


def search_spec(trials: int, **changes: object) -> StudySpec:
    space = {
        "adversary": ["none", "fgsm"],
        "epsilon_db": {"low": -80, "high": -30, "when": {"adversary": ["fgsm"]}},
    }
    return tiny_spec(
        space=space,
        sampler={"kind": "tpe", "trials": trials, "startup_trials": 2},
        seeds=[0, 1],
        **changes,
    )


def test_search_trains_each_proposed_point_with_every_seed(tmp_path: Path) -> None:
    with opened(tmp_path, search_spec(5)) as store:
        assignments = run_through(store, 100)
        assert store.finished
        assert len(store.trials()) == 10
    points = [(dict(assignment.sample), assignment.seed) for assignment in assignments]
    for first, second in zip(points[::2], points[1::2], strict=True):
        assert (first[0], first[1], second[1]) == (second[0], 0, 1)
    for sample, _ in points:
        assert ("epsilon_db" in sample) == (sample["adversary"] == "fgsm")


def test_resumed_search_does_not_repeat_its_first_proposals(tmp_path: Path) -> None:
    spec = tiny_spec(
        space={"epsilon_db": {"low": -80, "high": -30}, "adversary": ["fgsm"]},
        sampler={"kind": "random", "trials": 6},
    )
    drawn = []
    for _ in range(3):
        with opened(tmp_path, spec) as store:
            drawn += [assignment.sample["epsilon_db"] for assignment in run_through(store, 2)]
    assert len(drawn) == len(set(drawn)) == 6


def test_point_proposed_just_before_a_kill_still_gets_all_its_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path, search_spec(1)) as store, monkeypatch.context() as killed_early:
        killed_early.setattr("study.dispatch.enqueue.Enqueuer.add_replicates", lambda *_: None)
        first = asked(store)
    with opened(tmp_path, search_spec(1)) as store:
        assert asked(store) == first
        assert asked(store).seed == 1
        assert store.ask() is None


def killed_while_describing(folder: Path, known: int) -> dict[str, object]:
    """Leaves a proposal of which a killed driver stored so many descriptions; returns its
    parameters.
    """
    described: list[str] = []

    def until_killed(trial: Trial, name: str, value: object) -> None:
        if len(described) == known:
            raise InterruptedError
        described.append(name)
        trial.study._storage.set_trial_user_attr(trial._trial_id, name, value)

    with opened(folder, search_spec(1)) as store, pytest.MonkeyPatch.context() as killed_early:
        killed_early.setattr("optuna.trial.Trial.set_user_attr", until_killed)
        with pytest.raises(InterruptedError):
            store.ask()
        assert len(described) == known
        return store.trials()[0].params


@pytest.mark.parametrize("known", range(4))
def test_kill_while_a_proposal_is_described_neither_hinders_readers_nor_loses_it(
    tmp_path: Path, known: int
) -> None:
    drawn = killed_while_describing(tmp_path, known)
    assert read_study(StudyFolder(tmp_path)).trials == ()
    with opened(tmp_path, search_spec(1)) as store:
        first = asked(store)
        assert first.number == 0 and store.trials()[0].params == drawn
    assert [trial.seed for trial in read_study(StudyFolder(tmp_path)).trials] == [0, 1]


@pytest.mark.parametrize("known", range(4))
def test_what_a_kill_left_half_described_can_be_cancelled(tmp_path: Path, known: int) -> None:
    killed_while_describing(tmp_path, known)
    with opened(tmp_path, search_spec(1)) as store:
        store.cancel(0)
    with opened(tmp_path, search_spec(1)) as store:
        assert [asked(store).seed, asked(store).seed] == [0, 1]
        assert store.ask() is None
    assert [trial.outcome for trial in read_study(StudyFolder(tmp_path)).trials] == [
        "cancelled",
        "running",
        "running",
    ]


def test_same_configuration_is_trained_once(tmp_path: Path) -> None:
    spec = tiny_spec(
        space={"negatives": ["cross", "local"]}, sampler={"kind": "random", "trials": 12}
    )
    with opened(tmp_path, spec) as store:
        assignments = [asked(store), asked(store)]
        assert store.ask() is None
    assert {str(assignment.sample["negatives"]) for assignment in assignments} == {"cross", "local"}
    repeats = [
        trial for trial in read_study(StudyFolder(tmp_path)).trials if trial.outcome == "cancelled"
    ]
    assert len(repeats) == 10
    assert all("the same configuration as trial" in trial.reason for trial in repeats)


@pytest.mark.parametrize("steps", [(), (10,)], ids=["before its first report", "after a report"])
def test_repeat_left_running_by_a_kill_does_not_end_the_trial_it_repeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: tuple[int, ...]
) -> None:
    spec = tiny_spec(space={"negatives": ["cross"]}, sampler={"kind": "random", "trials": 2})

    def killed(*_: object) -> int | None:
        raise InterruptedError

    with opened(tmp_path, spec) as store:
        first = asked(store)
        log_up_to(store, first, *steps)
        with monkeypatch.context() as crash, pytest.raises(InterruptedError):
            crash.setattr("study.dispatch.prepare.same_configuration", killed)
            store.ask()
        assert states(store) == [TrialState.RUNNING] * 2
    with opened(tmp_path, spec) as store:
        assert asked(store) == first
        assert store.ask() is None
    assert [trial.outcome for trial in read_study(StudyFolder(tmp_path)).trials] == [
        "running",
        "cancelled",
    ]


def test_failed_configuration_may_be_proposed_again(tmp_path: Path) -> None:
    spec = tiny_spec(space={"negatives": ["cross"]}, sampler={"kind": "random", "trials": 2})
    with opened(tmp_path, spec) as store:
        first = asked(store)
        store.tell(first.number, "failed", {}, "its process was killed")
        assert asked(store).trial_id == first.trial_id


def test_proposal_that_cannot_be_trained_is_recorded_and_passed_over(tmp_path: Path) -> None:
    space = {"learning_rate": [1e-5, 1e-2]}
    with opened(tmp_path, tiny_spec(space=space, sampler={"kind": "random", "trials": 8})) as store:
        assert asked(store).config.optimizer.learning_rate == 1e-2
        store.ask()
    outcomes = {
        trial.outcome
        for trial in read_study(StudyFolder(tmp_path)).trials
        if trial.knobs["learning_rate"] == 1e-5
    }
    assert outcomes == {"failed"}


def test_point_that_cannot_be_trained_is_counted_with_every_seed(tmp_path: Path) -> None:
    spec = tiny_spec(
        space={"learning_rate": [1e-5]}, seeds=[0, 1], sampler={"kind": "random", "trials": 1}
    )
    with opened(tmp_path, spec) as store:
        assert store.ask() is None
    study = read_study(StudyFolder(tmp_path))
    assert study.finished
    assert [(trial.seed, trial.outcome) for trial in study.trials] == [(0, "failed"), (1, "failed")]


def test_median_pruner_stops_what_falls_behind(tmp_path: Path) -> None:
    spec = tiny_spec(
        space={"temperature": [0.05, 0.1, 0.2, 0.5]},
        objective={"metric": "dev_accuracy"},
        pruner={"kind": "median", "startup_trials": 2},
    )
    with opened(tmp_path, spec) as store:
        for value in (0.8, 0.9):
            good = asked(store)
            store.report(good.number, 10, {"dev_accuracy": value})
            assert not store.should_prune(good.number)
            store.tell(good.number, "complete", {"dev_accuracy": value})
    with opened(tmp_path, spec) as store:
        verdicts = []
        for value in (0.2, 0.95):
            trial = asked(store)
            store.report(trial.number, 10, {"dev_accuracy": value})
            verdicts.append(store.should_prune(trial.number))
        assert verdicts == [True, False]


def test_halving_keeps_its_rungs_over_a_resume(tmp_path: Path) -> None:
    spec = tiny_spec(
        space={"temperature": [0.05, 0.1, 0.2, 0.5]},
        objective={"metric": "dev_accuracy"},
        pruner={"kind": "asha", "first_rung": 10, "reduction": 2},
    )
    with opened(tmp_path, spec) as store:
        for value in (0.9, 0.8):
            trial = asked(store)
            store.report(trial.number, 10, {"dev_accuracy": value})
            store.should_prune(trial.number)
            store.tell(trial.number, "complete", {"dev_accuracy": value})
    with opened(tmp_path, spec) as store:
        third = asked(store)
        store.report(third.number, 10, {"dev_accuracy": 0.1})
        assert store.should_prune(third.number)


@pytest.mark.parametrize("every_store", ["journal"], indirect=True)
def test_second_driver_is_refused_by_the_first_ones_number(tmp_path: Path) -> None:
    with (
        opened(tmp_path, tiny_spec()),
        pytest.raises(CpcError, match=f"is being run by process {os.getpid()}"),
    ):
        Dispatcher.create_or_open(StudyFolder(tmp_path), tiny_spec(), CORPUS, "")


def test_folder_of_another_spec_is_refused_with_both_hashes(tmp_path: Path) -> None:
    ours, other = tiny_spec(), tiny_spec(seeds=[5])
    with opened(tmp_path, ours):
        pass
    with pytest.raises(ConfigError, match=f"{ours.hash}.*{other.hash}.*-o"):
        Dispatcher.create_or_open(StudyFolder(tmp_path), other, CORPUS, "")
    with opened(tmp_path, ours):
        pass


def test_folder_of_another_corpus_is_refused_with_both_hashes(tmp_path: Path) -> None:
    with opened(tmp_path, tiny_spec()):
        pass
    with pytest.raises(ConfigError, match=r"cccccccccccc.*dddddddddddd"):
        Dispatcher.create_or_open(StudyFolder(tmp_path), tiny_spec(), "d" * 64, "")


def test_other_resources_are_the_same_study(tmp_path: Path) -> None:
    with opened(tmp_path, tiny_spec()):
        pass
    with opened(tmp_path, tiny_spec(resources={"concurrent_trials": 9})) as store:
        assert len(store.trials()) == 2


@pytest.mark.parametrize("every_store", ["journal"], indirect=True)
def test_kill_while_the_journal_is_written_does_no_harm(tmp_path: Path) -> None:
    with opened(tmp_path, tiny_spec()) as store:
        first = asked(store)
    journal = tmp_path / "journal.log"
    with journal.open("ab") as file:
        file.write(b'{"op_code": 8, "worker')
    (tmp_path / "journal.log.lock").symlink_to(journal)
    assert len(read_study(StudyFolder(tmp_path)).trials) == 2
    with opened(tmp_path, tiny_spec()) as store:
        assert asked(store) == first
        store.tell(first.number, "complete", {"dev_map": 0.5})
    assert read_study(StudyFolder(tmp_path)).trials[0].outcome == "complete"


def test_unmakeable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        Dispatcher.create_or_open(StudyFolder(tmp_path / "file" / "study"), tiny_spec(), CORPUS, "")


def test_provenance_names_code_versions_hardware_and_data(tmp_path: Path) -> None:
    with opened(tmp_path, tiny_spec()):
        pass
    content = json.loads((tmp_path / "provenance.json").read_text())
    assert content["spec_hash"] == tiny_spec().hash
    assert content["corpus_hash"] == CORPUS
    assert {"python", "torch", "ray", "optuna", "pyarrow"} <= content["versions"].keys()
    assert content["hardware"]["cores"] >= 1
    assert set(content["git"]) in (
        set(),
        {"commit", "dirty"},
        {"commit", "dirty", "diff", "diff_sha256"},
    )
