"""Identity of what outlives a version: hashes, weights, draws, files, the command line.

The file beside this one holds them, and under `given` what they are of. After a change that is
meant to change one of them: `python -m tests.test_identity`, and say why in the commit.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from cyclopts import App

from cluster.kinds.capacity import ClusterError
from cpc_core.config import CpcConfig, signature, trajectory
from cpc_core.corpus.reading.batches import batches_in_process
from cpc_core.corpus.sample import open_corpus
from cpc_core.errors import CpcError
from cpc_core.model.cpc_model import CpcModel
from cpc_core.objective.negatives import Pool, draw_negatives
from cpc_core.stateless_random import Key, Purpose, uniform_integers
from dashboards.app import ListenError, PortTakenError
from dashboards.export.screenshot import ScreenshotError
from study.cli import app
from study.cli.exit_codes import run
from study.control.requests import ControlRequests, request
from study.folders.study_folder import StudyFolder
from study.planning import keep_prediction
from study.spec.presets import preset_names, scales
from study.spec.study_spec import StudySpec
from study.storage.object_store import ChangedError

FILE = Path(__file__).with_name("identity.json")
PINNED = json.loads(FILE.read_text(encoding="utf-8"))
GIVEN = PINNED["given"]
CORPUS = "c" * 64
LATE: set[type[CpcError]] = {
    ChangedError,
    ClusterError,
    ListenError,
    PortTakenError,
    ScreenshotError,
}
"""Errors of modules that the command line loads late."""

Pins = Iterator[tuple[str, Any]]


def cases(*sections: str) -> Pins:
    """Changes to the sections of a configuration, by name."""
    for section in sections:
        for value in GIVEN["changes"][section]:
            yield f"{section} {value}", {section: value}


def configs() -> Pins:
    """Signature, trajectory and cell of every configuration."""
    yield "defaults", CpcConfig().model_dump(mode="json")
    for name, changes in cases(*GIVEN["changes"]):
        config = CpcConfig.model_validate(changes)
        cell = signature(config, CORPUS, ignore_seed=True)
        yield name, f"{signature(config, CORPUS)} {trajectory(config, CORPUS)} {cell}"


def specs() -> Pins:
    """Hash, number of trials and last trial of every spec and preset, and a spec's file."""
    common = {"name": "a", "space": {"temperature": [0.05, 0.1]}}
    found = {str(each): StudySpec.model_validate({**common, **each}) for each in GIVEN["specs"]}
    yield "spec.yaml", next(iter(found.values())).to_yaml().splitlines()
    for preset in preset_names():
        for scale in scales(preset) or (None,):
            found[f"preset {preset}, scale {scale}"] = StudySpec.load(preset, scale=scale)
    for name, spec in found.items():
        last = signature(spec.config(list(spec.probe_samples)[-1], spec.seeds[-1]), CORPUS)
        yield name, f"{spec.hash}, {spec.planned_trials} trials, the last {last}"


def weights() -> Pins:
    """Names and shapes of the first weights in the optimizer's order, and a sum over them."""
    for name, changes in cases(*GIVEN["small"]):
        state = CpcModel(CpcConfig.model_validate({**GIVEN["small"], **changes})).state_dict()
        values = torch.cat([tensor.flatten() for tensor in state.values()]).double()
        total = (values * torch.arange(1, len(values) + 1)).mean().item()
        shapes = [f"{key} {list(tensor.shape)}" for key, tensor in state.items()]
        yield name, [*shapes, f"sum {total:.4f}"]


def draws() -> Pins:
    """Numbers for every purpose, negatives of every kind, and the order of the clips."""
    for purpose in Purpose:
        drawn = uniform_integers(Key(7, 3, purpose), torch.arange(3), (2,), 1000)
        yield f"{purpose.name} {purpose.value}", str(drawn.tolist())
    key, clips = Key(0, 3, Purpose.NEGATIVES), torch.tensor([11, 5])
    for name, changes in cases("negatives"):
        config = CpcConfig.model_validate(changes).negatives
        drawn = draw_negatives(key, clips, Pool(3, 1), 4, 2, config)
        yield name, [str(clip.tolist()) for clip in drawn.flatten(0, 2)]
    corpus = open_corpus("sample")
    for start, rank, world in ((0, 0, 1), (0, 0, 2), (0, 1, 2), (40, 0, 1)):
        steps = batches_in_process(corpus, 0, 4, start, start + 5, rank, world)
        order = [str(batch.clip_ids.tolist()) for batch in steps]
        yield f"clips from step {start}, worker {rank} of {world}", order


def commands(group: App = app, path: str = "cpc") -> Pins:
    """Parameters of every command, those that are required with a mark."""
    if group.default_command is None:
        yield path, [name for name in group if name.startswith("-")]
        for name in group:
            if not name.startswith("-"):
                yield from commands(group[name], f"{path} {name}")
    else:
        found = group.assemble_argument_collection()
        yield path, ["!" * bool(each.required) + " ".join(each.names) for each in found]


def explanations() -> Pins:
    """Output of `cpc study explain`."""
    for setting in GIVEN["settings"]:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            run(app, ["study", "explain", setting])
        yield setting, printed.getvalue().splitlines()


def exit_codes() -> Pins:
    """Exit codes of errors and of command lines."""
    for line in ("--help", "study frobnicate", "study show nowhere"):
        yield line, run(app, line.split())
    errors: list[type[BaseException]] = [KeyboardInterrupt, *LATE, *descendants(CpcError)]
    for error in errors:
        yield error.__name__, run(Mock(side_effect=error.__new__(error)), [])


def descendants(error: type[CpcError]) -> set[type[CpcError]]:
    """The class and all that are derived from it in the project."""
    return {error}.union(*map(descendants, error.__subclasses__()))


def files() -> Pins:
    """Files of the bundled corpus, a study and an export, with their keys."""
    yield "corpus", sorted(path.name for path in Path(open_corpus("sample").folder).iterdir())
    with tempfile.TemporaryDirectory() as home:
        study, model = Path(home, "study"), Path(home, "model")
        trial = f"{GIVEN['trial']} --threads {torch.get_num_threads()} --out {study}"
        assert run(app, trial.split()) == 0
        assert run(app, ["export", str(study), "--best", "--out", str(model)]) == 0
        request(StudyFolder(study), ControlRequests(desired="stop"))
        keep_prediction(StudyFolder(study), StudySpec.load("demo"), 32_000, lambda *_: 1.0)
        for path in Path(home).rglob("*"):
            if path.is_file() and path.suffix != ".diff":  # of a checkout with changes
                yield path.relative_to(home).as_posix(), sorted(set(keys(content(path))))


def content(path: Path) -> Any:
    """A file's value, or the list of its lines' values; nothing of other formats."""
    if path.suffix == ".pt":
        return torch.load(path, weights_only=True)
    if path.suffix in (".jsonl", ".log"):
        return [json.loads(line) for line in path.read_text().splitlines()]
    return json.loads(path.read_text()) if path.suffix == ".json" else None


def keys(value: Any, path: str = "") -> Iterator[str]:
    """Names of the fields, and of the fields in some of them."""
    if isinstance(value, list):
        for item in value:
            yield from keys(item, path)
    elif isinstance(value, dict):
        for key, inner in value.items():
            name = path + key.split()[0]
            yield name
            if key in ("attempts", "ending", "history", "metrics", "user_attr", "user_attrs"):
                yield from keys(inner, f"{name}.")


ALL = (configs, specs, weights, draws, commands, explanations, exit_codes, files)
GROUPS: dict[str, Callable[[], Pins]] = {group.__name__: group for group in ALL}


@pytest.mark.parametrize("group", GROUPS)
def test_it_is_what_it_was(group: str) -> None:
    assert dict(GROUPS[group]()) == PINNED[group]


@pytest.mark.parametrize("model", [CpcConfig, StudySpec])
def test_every_kind_is_pinned(model: type[CpcConfig | StudySpec]) -> None:
    kinds = re.findall(r"'kind': {'const': '(\w+)'", str(model.model_json_schema()))
    assert kinds
    assert set(kinds) <= set(re.findall(r"'kind': '(\w+)'", str(GIVEN)))


if __name__ == "__main__":
    written = {"given": GIVEN, **{name: dict(group()) for name, group in GROUPS.items()}}
    text = json.dumps(written, indent=1, sort_keys=True, ensure_ascii=False)
    FILE.write_text(text + "\n", encoding="utf-8")
