from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from cpc_core.adversary.fgsm import Fgsm
from cpc_core.config import CpcConfig, canonical_json, signature, trajectory
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


@pytest.mark.parametrize(
    ("preset", "patch", "lead", "frames", "first_safe"),
    [("printed", 955, 0, 498, 3), ("ten_layers", 955, 0, 498, 3), ("patches_40ms", 640, 2, 500, 2)],
)
def test_geometry_of_the_presets(
    preset: str, patch: int, lead: int, frames: int, first_safe: int
) -> None:
    config = CpcConfig.model_validate({"encoder": {"preset": preset}})
    geometry = config.geometry
    assert (geometry.hop_samples, geometry.patch_samples, geometry.lead_samples) == (
        320,
        patch,
        lead,
    )
    assert (geometry.frames(160_000), geometry.first_safe_step) == (frames, first_safe)
    assert geometry.frames(geometry.samples(50)) == 50
    assert geometry.frames(geometry.samples(50) - 1) == 49
    assert CpcConfig.model_validate(config.model_dump(mode="json")) == config


def test_own_layers_are_named_custom() -> None:
    config = CpcConfig.model_validate({"encoder": {"kernels": [10, 8], "strides": [5, 4]}})
    assert config.encoder.preset == "custom"
    assert CpcConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("module", ["cpc_core.config", "study.spec.study_spec"])
def test_a_configuration_is_read_without_torch(module: str) -> None:
    """The import contract ignores what a kind's methods import, so a fresh process shows it."""
    code = f"import sys, {module}; sys.exit(str(sys.modules.keys() & {{'torch', 'torchaudio'}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": {"first_step": 2}}, "first safe step is 3"),
        ({"objective": {"temperature": 0}}, "greater than 0"),
        ({"adversary": {"kind": "fgsm", "epsilon_db": 3}}, "less than or equal to 0"),
        ({"adversary": {"kind": "none", "epsilon_db": -55}}, "Extra inputs"),
        ({"negatives": {"sampling": "exclusive"}, "data": {"batch_size": 1}}, "needs other clips"),
        ({"negatives": {"sampling": "exclusive", "pool_clips": 1}}, "needs other clips"),
        ({"negatives": {"pool": "global"}}, "Extra inputs"),
        (
            {"data": {"batch_size": 12}},
            "no multiple of negatives.pool_clips 8: make it 8 or 16, or pool_clips 6 or 12",
        ),
        ({"data": {"crop_s": 0.1}}, r"at least 0\.22 s are needed"),
        (
            {"encoder": {"kernels": [10, 1], "strides": [5, 2]}},
            "kernel 1 is smaller than its stride 2",
        ),
        ({"encoder": {"kernels": [10, 4], "strides": [5]}}, "need the same length: 2 and 1"),
        (
            {"encoder": {"preset": "ten_layers", "padding": "same"}},
            "padding same disagrees with preset ten_layers",
        ),
        ({"encoder": {"preset": "eleven"}}, "'printed', 'ten_layers', 'patches_40ms' or 'custom'"),
        (
            {"encoder": {"preset": "patches_40ms"}, "objective": {"first_step": 1}},
            "first safe step is 2",
        ),
        (
            {"adversary": {"kind": "fsgm"}},
            "does not match any of the expected tags: 'none', 'gaussian', 'fgsm'",
        ),
        ({"adversary": {"kind": "speed", "branch": "future"}}, "Input should be 'both'"),
        (
            {"adversary": {"kind": "additive_noise", "snr_db": [30, 10]}},
            "must name the lower ratio first",
        ),
        (
            {"adversary": {"kind": "free", "replays": 3}},
            r"training.report_every 1000 must be a multiple of adversary.replays 3",
        ),
        ({"objective": {"temperature": float("nan")}}, "finite number"),
        ({"optimizer": {"learning_rate": 1e-7}}, "exceeds"),
        (
            {"optimizer": {"decay_steps": 50, "warmup_steps": 50}},
            "decay_steps 50 leaves nothing after optimizer.warmup_steps 50",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CpcConfig.model_validate(changes)


def test_a_signature_is_of_configuration_corpus_and_seed() -> None:
    first, second = CpcConfig(seed=0), CpcConfig(seed=1)
    assert signature(first, "a") == signature(CpcConfig.model_validate({"seed": 0}), "a")
    assert len({signature(first, "a"), signature(second, "a"), signature(first, "b")}) == 3
    assert signature(first, "a", ignore_seed=True) == signature(second, "a", ignore_seed=True)


def test_a_schedule_without_length_keeps_old_signatures() -> None:
    assert "decay_steps" not in canonical_json(CpcConfig())
    named = CpcConfig.model_validate({"optimizer": {"decay_steps": 400_000}})
    assert CpcConfig.model_validate_json(canonical_json(named)) == named
    assert signature(named, "a") != signature(CpcConfig(), "a")


def test_a_trajectory_is_everything_but_the_number_of_steps() -> None:
    def of(steps: int, decay: int | None = None, seed: int = 0, corpus: str = "a") -> str:
        changes = {"seed": seed, "training": {"steps": steps}, "optimizer": {"decay_steps": decay}}
        return trajectory(CpcConfig.model_validate(changes), corpus)

    assert of(2000, 1000) == of(3000, 1000) == of(1000) == of(1000, 1000)
    assert len({of(1000), of(2000), of(2000, 1500), of(1000, seed=1), of(1000, corpus="b")}) == 5


def test_decibels_are_below_full_scale() -> None:
    config = CpcConfig.model_validate({"adversary": {"kind": "fgsm", "epsilon_db": -55}})
    assert isinstance(config.adversary, Fgsm)
    assert config.adversary.epsilon == pytest.approx(1.78e-3, rel=2e-3)


@pytest.mark.parametrize(
    ("batch", "dev", "expected"), [(16, 256, 8), (8, 4, 4), (4, 4, 4), (16, 6, 4), (16, 3, 2)]
)
def test_few_held_out_clips_lower_the_pool_of_training(batch: int, dev: int, expected: int) -> None:
    config = CpcConfig.model_validate(
        {"data": {"batch_size": batch}, "training": {"dev_clips": dev, "attacked_clips": 0}}
    )
    assert config.pool_clips == expected
