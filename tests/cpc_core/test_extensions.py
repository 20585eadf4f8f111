"""A new kind is one new file and one line, in a copy of the package and a fresh process."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import cpc_core

PACKAGE = Path(cpc_core.__file__).parent

SIMILARITY = '''
"""The dot product after a shared linear map."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from cpc_core.similarity.base import Similarity

if TYPE_CHECKING:
    from torch import nn


class BilinearSimilarity(Similarity):
    """sim(u, v) = uᵀWᵀWv."""

    kind: Literal["bilinear"] = "bilinear"
    label: ClassVar[str] = "bilinear form"

    rank: int = Field(default=4, ge=1)
    """Dimensions of Wv."""

    def embedding(self, channels: int) -> nn.Module:
        """W."""
        from torch import nn

        return nn.Linear(channels, self.rank, bias=False)
'''

ADVERSARY = '''
"""Signs of white noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from cpc_core.adversary.base import SizedAdversary

if TYPE_CHECKING:
    from torch import Tensor

    from cpc_core.clean_pass import CleanPass


class RandomSign(SizedAdversary):
    """x + gain · ε · sign(N(0, 1)): the corners that FGSM chooses, at random."""

    kind: Literal["random_sign"] = "random_sign"
    label: ClassVar[str] = "random sign"

    gain: float = Field(default=1.0, gt=0)
    """Factor on ε."""

    def perturb(self, clean: CleanPass) -> Tensor:
        """A corner of the ε-ball around each clip."""
        noise = clean.normal("noise", clean.audio.shape[1:])
        return clean.audio.detach() + self.gain * self.size(clean) * noise.sign()
'''

TRAINING = """
import json, sys
import torch
from cpc_core.config import CpcConfig, canonical_json
from cpc_core.model.initialise import initialise
from cpc_core.step import TrainState, train_step
from study.analysis.labels import value_label
from study.spec.study_spec import StudySpec
from tests.helpers.configs import tiny_batch, tiny_config

section, kind = sys.argv[1:]
spec = StudySpec.load("spec.yaml")
(cell,) = (cell for cell in spec.cells if cell[section] == kind)
settings = vars(spec.config(cell, seed=0))[section]
config = tiny_config(**{section: settings})
assert CpcConfig.model_validate_json(canonical_json(config)) == config

state = TrainState.create(config, torch.device("cpu"))
batches = [tiny_batch(step=step) for step in range(3)]
initialise(state.model, batches[0].audio, config.initialisation, config.negatives.count)
steps = [train_step(state, batch) for batch in batches]
print(json.dumps({
    "settings": settings.model_dump(mode="json"),
    "label": value_label(section, kind),
    "losses": [float(step.loss) for step in steps],
    "power_db": float(10 * batches[0].audio.square().mean(1).log10().quantile(0.5)),
    "snr_db": float(steps[0].snr_db),
    "weights": sorted(state.model.state_dict()),
}))
"""


def trained(folder: Path, section: str, module: str, source: str, line: str, spec: str) -> Any:
    """Metrics of three steps with the kind named `module`, given its file, its line and a spec."""
    shutil.copytree(PACKAGE, folder / "cpc_core", ignore=shutil.ignore_patterns("sample", "*.pyc"))
    room = folder / "cpc_core" / section
    (room / f"{module}.py").write_text(source, encoding="utf-8")
    names = (room / "__init__.py").read_text(encoding="utf-8")
    imports, rest = names.split("# isort: on\n")
    (room / "__init__.py").write_text(f"{imports}{line}\n# isort: on\n{rest}", encoding="utf-8")
    (folder / "spec.yaml").write_text(spec, encoding="utf-8")
    path = os.pathsep.join((str(folder), str(PACKAGE.parent)))
    done = subprocess.run(
        [sys.executable, "-c", TRAINING, section, module],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_similarity_is_one_file_and_one_line(tmp_path: Path) -> None:
    found = trained(
        tmp_path,
        "similarity",
        "bilinear",
        SIMILARITY,
        "from cpc_core.similarity.bilinear import BilinearSimilarity as BilinearSimilarity",
        "name: a\nspace:\n  similarity: [dot, bilinear]\n"
        "  similarity.rank: {values: [3], when: {similarity: [bilinear]}}\n",
    )
    assert found["settings"] == {"kind": "bilinear", "rank": 3}
    assert found["label"] == "bilinear form"
    assert "objective.similarity.weight" in found["weights"]
    assert all(map(math.isfinite, found["losses"]))
    assert len(set(found["losses"])) == 3


def test_an_adversary_is_one_file_and_one_line(tmp_path: Path) -> None:
    found = trained(
        tmp_path,
        "adversary",
        "random_sign",
        ADVERSARY,
        "from cpc_core.adversary.random_sign import RandomSign as RandomSign",
        "name: a\nbase: {adversary: {kind: random_sign, gain: 2}}\nspace:\n"
        "  adversary: [none, random_sign]\n"
        "  epsilon_db: {values: [-20], when: {adversary: [random_sign]}}\n",
    )
    assert found["settings"]["kind"] == "random_sign"
    assert found["label"] == "random sign"
    # Twice ε = 0.1 in every sample, at −20 dB.
    assert found["snr_db"] == pytest.approx(found["power_db"] - 20 * math.log10(0.2), abs=1e-3)
    assert all(map(math.isfinite, found["losses"]))
    assert len(set(found["losses"])) == 3
