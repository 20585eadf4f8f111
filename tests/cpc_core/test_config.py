from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from cpc_core.config import CpcConfig, signature
from cpc_core.geometry import Geometry


def test_geometry_of_the_paper() -> None:
    geometry = CpcConfig().geometry
    assert geometry == Geometry(hop_samples=320, patch_samples=955, context_frames=79)
    assert geometry.context_samples == 25_915
    assert round(geometry.context_samples / 16_000, 2) == 1.62
    assert geometry.frames(160_000) == 498
    assert geometry.first_safe_step == 3


@pytest.mark.parametrize("frames", [1, 2, 79, 498])
def test_samples_is_the_inverse_of_frames(frames: int) -> None:
    geometry = CpcConfig().geometry
    assert geometry.frames(geometry.samples(frames)) == frames
    assert geometry.frames(geometry.samples(frames) - 1) == frames - 1


def test_importing_the_configuration_imports_no_torch() -> None:
    code = "import sys, cpc_core.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": {"first_step": 2}}, "first safe step is 3"),
        ({"objective": {"temperature": 0}}, "greater than 0"),
        ({"adversary": {"kind": "fgsm", "epsilon_db": 3}}, "less than or equal to 0"),
        ({"adversary": {"kind": "none", "epsilon_db": -55}}, "Extra inputs"),
        ({"negatives": {"sampling": "exclusive"}, "data": {"batch_size": 1}}, "needs other clips"),
        ({"data": {"crop_s": 0.1}}, r"at least 0\.22 s are needed"),
        ({"encoder": {"kernels": [10, 3], "strides": [5, 2]}}, "kernel 3 is not a multiple of its stride 2"),
        ({"optimizer": {"learning_rate": 1e-7}}, "exceeds"),
    ],
)
def test_what_cannot_be_trained_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CpcConfig.model_validate(changes)


def test_a_signature_names_the_configuration_the_corpus_and_the_seed() -> None:
    first, second = CpcConfig(seed=0), CpcConfig(seed=1)
    assert signature(first, "a") == signature(CpcConfig.model_validate({"seed": 0}), "a")
    assert len({signature(first, "a"), signature(second, "a"), signature(first, "b")}) == 3
    assert signature(first, "a", ignore_seed=True) == signature(second, "a", ignore_seed=True)


def test_decibels_are_below_full_scale() -> None:
    config = CpcConfig.model_validate({"adversary": {"kind": "fgsm", "epsilon_db": -55}})
    assert config.adversary.kind == "fgsm"
    assert config.adversary.epsilon == pytest.approx(1.78e-3, rel=2e-3)
