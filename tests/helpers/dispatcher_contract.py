"""The tests that a dispatcher passes wherever its study and its trials are stored."""

from __future__ import annotations

import json
import math

import pytest
from optuna.trial import Trial, TrialState

from cpc_core.errors import ConfigError
from cpc_core.report import FinalOutcome
from cpc_core.storage_path import StoragePath
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.spec.study_spec import StudySpec
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import CORPUS, asked, log_up_to, opened, run_through, states


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


def killed_while_describing(folder: StoragePath, known: int) -> dict[str, object]:
    """Leaves a proposal of which a killed driver stored so many descriptions; returns its
    parameters.
    """
    described: list[str] = []
    store_attribute = Trial.set_user_attr

    def until_killed(trial: Trial, name: str, value: object) -> None:
        if len(described) == known:
            raise InterruptedError
        described.append(name)
        store_attribute(trial, name, value)

    with opened(folder, search_spec(1)) as store, pytest.MonkeyPatch.context() as killed_early:
        killed_early.setattr("optuna.trial.Trial.set_user_attr", until_killed)
        with pytest.raises(InterruptedError):
            store.ask()
        assert len(described) == known
        return store.trials()[0].params


class DispatcherContract:
    """Tests of one storage; a subclass has a fixture `folder`, the folder of a study."""

    def test_grid_plans_every_cell_with_every_seed_cells_first(self, folder: StoragePath) -> None:
        spec = tiny_spec(
            space={"temperature": [0.05, 0.1], "negatives": ["cross", "local"]}, seeds=[3, 7]
        )
        with opened(folder, spec) as store:
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

    def test_opening_again_plans_nothing_twice(self, folder: StoragePath) -> None:
        spec = tiny_spec(seeds=[0, 1])
        for _ in range(2):
            with opened(folder, spec) as store:
                assert len(store.trials()) == 4

    def test_trial_left_running_is_handed_out_again_first(self, folder: StoragePath) -> None:
        with opened(folder, tiny_spec()) as store:
            first = asked(store)
            store.report(first.number, 10, {"dev_map": 0.25})
        with opened(folder, tiny_spec()) as store:
            assert asked(store) == first
            store.report(first.number, 10, {"dev_map": 0.75})
            assert store.trials()[0].intermediate_values == {10: 0.25}
            assert asked(store).number == 1

    def test_trial_that_ended_unreported_is_not_trained_again(self, folder: StoragePath) -> None:
        """Its driver was killed before it reported the end."""
        with opened(folder, tiny_spec()) as store:
            first = asked(store)
            log_up_to(store, first, 10, 20, outcome="complete")
            store.trial_folder(first.number).save_checkpoint(20, lambda folder: None)
        with opened(folder, tiny_spec()) as store:
            assert asked(store).number == 1
            assert states(store)[0] == TrialState.COMPLETE
            assert store.trials()[0].intermediate_values == {10: 0.5, 20: 0.5}

    def test_final_log_line_without_its_checkpoint_is_trained_again(
        self, folder: StoragePath
    ) -> None:
        with opened(folder, tiny_spec()) as store:
            first = asked(store)
            log_up_to(store, first, 10, 20, outcome="complete")
            store.trial_folder(first.number).save_checkpoint(10, lambda folder: None)
        with opened(folder, tiny_spec()) as store:
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
        self, folder: StoragePath, outcome: FinalOutcome, state: TrialState, value: float | None
    ) -> None:
        with opened(folder, tiny_spec()) as store:
            first = asked(store)
            store.report(first.number, 10, {"dev_map": 0.4})
            store.tell(first.number, outcome, {"dev_map": 0.5}, "why")
            assert (states(store)[0], store.trials()[0].value) == (state, value)
        record = read_study(StudyFolder(folder)).trials[0]
        assert (record.outcome, record.reason, record.metrics) == (outcome, "why", {"dev_map": 0.5})

    @pytest.mark.parametrize("metrics", [{}, {"dev_map": math.nan}, {"dev_map": math.inf}])
    def test_complete_without_a_finite_objective_counts_as_failed(
        self, folder: StoragePath, metrics: dict[str, float]
    ) -> None:
        with opened(folder, tiny_spec()) as store:
            first = asked(store)
            store.tell(first.number, "complete", metrics)
        record = read_study(StudyFolder(folder)).trials[0]
        assert record.outcome == "failed"
        assert "no finite dev_map" in record.reason

    def test_telling_adds_reports_that_only_the_log_has(self, folder: StoragePath) -> None:
        with opened(folder, tiny_spec(objective={"metric": "dev_accuracy"})) as store:
            first = asked(store)
            store.report(first.number, 10, {"dev_accuracy": 0.99})
            log_up_to(store, first, 10, 20, 30)
            store.tell(first.number, "complete", {"dev_accuracy": 0.3})
            assert store.trials()[0].intermediate_values == {10: 0.99, 20: 0.2, 30: 0.3}

    def test_search_trains_each_proposed_point_with_every_seed(self, folder: StoragePath) -> None:
        with opened(folder, search_spec(5)) as store:
            assignments = run_through(store, 100)
            assert store.finished
            assert len(store.trials()) == 10
        points = [(dict(assignment.sample), assignment.seed) for assignment in assignments]
        for first, second in zip(points[::2], points[1::2], strict=True):
            assert (first[0], first[1], second[1]) == (second[0], 0, 1)
        for sample, _ in points:
            assert ("epsilon_db" in sample) == (sample["adversary"] == "fgsm")

    def test_resumed_search_does_not_repeat_its_first_proposals(self, folder: StoragePath) -> None:
        spec = tiny_spec(
            space={"epsilon_db": {"low": -80, "high": -30}, "adversary": ["fgsm"]},
            sampler={"kind": "random", "trials": 6},
        )
        drawn = []
        for _ in range(3):
            with opened(folder, spec) as store:
                drawn += [assignment.sample["epsilon_db"] for assignment in run_through(store, 2)]
        assert len(drawn) == len(set(drawn)) == 6

    def test_point_proposed_before_a_kill_gets_all_its_seeds(
        self, folder: StoragePath, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with opened(folder, search_spec(1)) as store, monkeypatch.context() as killed_early:
            killed_early.setattr("study.dispatch.enqueue.Enqueuer.add_replicates", lambda *_: None)
            first = asked(store)
        with opened(folder, search_spec(1)) as store:
            assert asked(store) == first
            assert asked(store).seed == 1
            assert store.ask() is None

    @pytest.mark.parametrize("known", range(4))
    def test_proposal_half_described_by_a_kill_is_not_lost(
        self, folder: StoragePath, known: int
    ) -> None:
        """Nor does it hinder readers."""
        drawn = killed_while_describing(folder, known)
        assert read_study(StudyFolder(folder)).trials == ()
        with opened(folder, search_spec(1)) as store:
            first = asked(store)
            assert first.number == 0 and store.trials()[0].params == drawn
        assert [trial.seed for trial in read_study(StudyFolder(folder)).trials] == [0, 1]

    @pytest.mark.parametrize("known", range(4))
    def test_what_a_kill_left_half_described_can_be_cancelled(
        self, folder: StoragePath, known: int
    ) -> None:
        killed_while_describing(folder, known)
        with opened(folder, search_spec(1)) as store:
            store.cancel(0)
        with opened(folder, search_spec(1)) as store:
            assert [asked(store).seed, asked(store).seed] == [0, 1]
            assert store.ask() is None
        assert [trial.outcome for trial in read_study(StudyFolder(folder)).trials] == [
            "cancelled",
            "running",
            "running",
        ]

    def test_same_configuration_is_trained_once(self, folder: StoragePath) -> None:
        spec = tiny_spec(
            space={"negatives": ["cross", "local"]}, sampler={"kind": "random", "trials": 12}
        )
        with opened(folder, spec) as store:
            assignments = [asked(store), asked(store)]
            assert store.ask() is None
        assert {str(assignment.sample["negatives"]) for assignment in assignments} == {
            "cross",
            "local",
        }
        repeats = [
            trial
            for trial in read_study(StudyFolder(folder)).trials
            if trial.outcome == "cancelled"
        ]
        assert len(repeats) == 10
        assert all("the same configuration as trial" in trial.reason for trial in repeats)

    @pytest.mark.parametrize(
        "steps", [(), (10,)], ids=["before its first report", "after a report"]
    )
    def test_repeat_left_running_by_a_kill_ends_nothing(
        self, folder: StoragePath, monkeypatch: pytest.MonkeyPatch, steps: tuple[int, ...]
    ) -> None:
        """The trial that it repeats goes on."""
        spec = tiny_spec(space={"negatives": ["cross"]}, sampler={"kind": "random", "trials": 2})

        def killed(*_: object) -> int | None:
            raise InterruptedError

        with opened(folder, spec) as store:
            first = asked(store)
            log_up_to(store, first, *steps)
            with monkeypatch.context() as crash, pytest.raises(InterruptedError):
                crash.setattr("study.dispatch.prepare.same_configuration", killed)
                store.ask()
            assert states(store) == [TrialState.RUNNING] * 2
        with opened(folder, spec) as store:
            assert asked(store) == first
            assert store.ask() is None
        assert [trial.outcome for trial in read_study(StudyFolder(folder)).trials] == [
            "running",
            "cancelled",
        ]

    def test_failed_configuration_may_be_proposed_again(self, folder: StoragePath) -> None:
        spec = tiny_spec(space={"negatives": ["cross"]}, sampler={"kind": "random", "trials": 2})
        with opened(folder, spec) as store:
            first = asked(store)
            store.tell(first.number, "failed", {}, "its process was killed")
            assert asked(store).trial_id == first.trial_id

    def test_proposal_that_cannot_be_trained_is_passed_over(self, folder: StoragePath) -> None:
        space = {"learning_rate": [1e-5, 1e-2]}
        with opened(
            folder, tiny_spec(space=space, sampler={"kind": "random", "trials": 8})
        ) as store:
            assert asked(store).config.optimizer.learning_rate == 1e-2
            store.ask()
        outcomes = {
            trial.outcome
            for trial in read_study(StudyFolder(folder)).trials
            if trial.knobs["learning_rate"] == 1e-5
        }
        assert outcomes == {"failed"}

    def test_point_that_cannot_be_trained_is_counted_with_every_seed(
        self, folder: StoragePath
    ) -> None:
        spec = tiny_spec(
            space={"learning_rate": [1e-5]}, seeds=[0, 1], sampler={"kind": "random", "trials": 1}
        )
        with opened(folder, spec) as store:
            assert store.ask() is None
        study = read_study(StudyFolder(folder))
        assert study.finished
        assert [(trial.seed, trial.outcome) for trial in study.trials] == [
            (0, "failed"),
            (1, "failed"),
        ]

    def test_median_pruner_stops_what_falls_behind(self, folder: StoragePath) -> None:
        spec = tiny_spec(
            space={"temperature": [0.05, 0.1, 0.2, 0.5]},
            objective={"metric": "dev_accuracy"},
            pruner={"kind": "median", "startup_trials": 2},
        )
        with opened(folder, spec) as store:
            for value in (0.8, 0.9):
                good = asked(store)
                store.report(good.number, 10, {"dev_accuracy": value})
                assert not store.should_prune(good.number)
                store.tell(good.number, "complete", {"dev_accuracy": value})
        with opened(folder, spec) as store:
            verdicts = []
            for value in (0.2, 0.95):
                trial = asked(store)
                store.report(trial.number, 10, {"dev_accuracy": value})
                verdicts.append(store.should_prune(trial.number))
            assert verdicts == [True, False]

    def test_halving_keeps_its_rungs_over_a_resume(self, folder: StoragePath) -> None:
        spec = tiny_spec(
            space={"temperature": [0.05, 0.1, 0.2, 0.5]},
            objective={"metric": "dev_accuracy"},
            pruner={"kind": "asha", "first_rung": 10, "reduction": 2},
        )
        with opened(folder, spec) as store:
            for value in (0.9, 0.8):
                trial = asked(store)
                store.report(trial.number, 10, {"dev_accuracy": value})
                store.should_prune(trial.number)
                store.tell(trial.number, "complete", {"dev_accuracy": value})
        with opened(folder, spec) as store:
            third = asked(store)
            store.report(third.number, 10, {"dev_accuracy": 0.1})
            assert store.should_prune(third.number)

    def test_folder_of_another_spec_is_refused_with_both_hashes(self, folder: StoragePath) -> None:
        ours, other = tiny_spec(), tiny_spec(seeds=[5])
        with opened(folder, ours):
            pass
        with pytest.raises(ConfigError, match=f"{ours.hash}.*{other.hash}.*-o"):
            Dispatcher.create_or_open(StudyFolder(folder), other, CORPUS, "")
        with opened(folder, ours):
            pass

    def test_folder_of_another_corpus_is_refused_with_both_hashes(
        self, folder: StoragePath
    ) -> None:
        with opened(folder, tiny_spec()):
            pass
        with pytest.raises(ConfigError, match=r"cccccccccccc.*dddddddddddd"):
            Dispatcher.create_or_open(StudyFolder(folder), tiny_spec(), "d" * 64, "")

    def test_other_resources_are_the_same_study(self, folder: StoragePath) -> None:
        with opened(folder, tiny_spec()):
            pass
        with opened(folder, tiny_spec(resources={"concurrent_trials": 9})) as store:
            assert len(store.trials()) == 2

    def test_provenance_names_code_versions_hardware_and_data(self, folder: StoragePath) -> None:
        with opened(folder, tiny_spec()):
            pass
        content = json.loads((folder / "provenance.json").read_bytes())
        assert content["spec_hash"] == tiny_spec().hash
        assert content["corpus_hash"] == CORPUS
        assert {"python", "torch", "ray", "optuna", "pyarrow"} <= content["versions"].keys()
        assert content["hardware"]["cores"] >= 1
        assert set(content["git"]) in (
            set(),
            {"commit", "dirty"},
            {"commit", "dirty", "diff", "diff_sha256"},
        )
