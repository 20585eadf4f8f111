"""`cpc trial run`: one model, trained in this process."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from study.cli.arguments import Grace, seconds, target_path
from study.cli.output import message, next_steps

if TYPE_CHECKING:
    from study.spec.study_spec import StudySpec


def _one_of(knob: str, text: str) -> Parameter:
    """A parameter whose help lists the values of a knob.

    An annotation that calls it is evaluated when the command runs or explains itself, so that a
    list of commands does not import the configuration.
    """
    from search_spaces.fields import allowed_values

    choices = ", ".join(allowed_values(knob) or ())
    return Parameter(help=f"{text} [choices: {choices}]", metavar="CHOICE")


def run(
    *,
    corpus: str | None = None,
    similarity: Annotated[
        str | None, _one_of("similarity", "How predictions and latents are compared.")
    ] = None,
    temperature: float | None = None,
    negatives: Annotated[str | None, _one_of("negatives", "Where negatives come from.")] = None,
    adversary: Annotated[str | None, _one_of("adversary", "What perturbs the audio.")] = None,
    epsilon_db: float | None = None,
    width: int | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    crop_s: float | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    base: str | None = None,
    set: Annotated[list[str] | None, Parameter(negative="")] = None,
    threads: int | None = None,
    out: Annotated[str | None, Parameter(name=["--out", "-o"])] = None,
    grace: Grace = None,
) -> None:
    """Pretrains one model, and prints its scores.

    Parameters
    ----------
    corpus
        A corpus folder, or `sample` for the bundled audio.
    temperature
        τ, which divides the similarity.
    epsilon_db
        Size of the perturbation, in decibels below full scale.
    width
        Channels of the encoder.
    steps
        Optimizer steps.
    batch_size
        Clips per step.
    crop_s
        Seconds of each clip that a step receives.
    learning_rate
        Peak learning rate.
    seed
        Seed of weights, order, crops, negatives and noise.
    from_
        An export, a folder or a URI, whose weights the training starts from.
    base
        Spec file or preset whose base configuration the settings above change; by default the
        preset `demo`, or the configuration of the export that the training starts from.
    set
        Any other field: `--set base.encoder.kernels=[10,8,4,4,4,1]`, as often as needed.
    threads
        CPU threads; all by default.
    out
        Where the trial is kept, a path or a URI; studies/trial-… by default.
    """
    knobs = {
        "similarity": similarity,
        "temperature": temperature,
        "negatives": negatives,
        "adversary": adversary,
        "epsilon_db": epsilon_db,
        "width": width,
        "steps": steps,
        "batch_size": batch_size,
        "crop_s": crop_s,
        "learning_rate": learning_rate,
        "init": from_,
    }
    grace_s = seconds(grace)
    given = {name: value for name, value in knobs.items() if value is not None}
    spec = _single_trial(base, set or [], corpus, given, seed)
    if (notice := _start_notice(spec)) is not None:
        message(notice)

    import torch

    from cluster.local_trial import run_trial
    from cpc_core.corpus.sample import open_corpus
    from study.cli.progress import TrialProgress
    from study.errors import StudyFailedError
    from study.spec.objectives import label_notice

    opened = open_corpus(spec.corpus)
    if notice := label_notice(opened):
        message(notice)
        if opened.probe_task("dev") == "none":
            spec = _ranked_without_labels(spec)
            message(f"the trial is ranked by {spec.objectives[0].metric} instead of the probe")
    folder = target_path(out, spec.name)
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
    with TrialProgress(folder, spec.accuracy, grace_s) as progress:
        record = run_trial(
            folder,
            spec,
            opened,
            on_step=progress.on_step,
            on_report=progress.on_report,
            on_stopping=progress.on_stopping,
            grace_s=grace_s,
        )
    trial = record.trials[0]
    if trial.outcome == "running":
        message(f"stopped: the same command resumes from the last checkpoint in {folder}")
        return
    if trial.outcome == "cancelled" and progress.steps_taken:
        message(
            f"{trial.reason}: `cpc study retry {folder}`, then the same command, trains it again"
        )
        raise KeyboardInterrupt
    if trial.outcome != "complete":
        raise StudyFailedError(f"the trial {trial.outcome}: {trial.reason}")
    if not progress.steps_taken:
        reason = f" ({trial.reason})" if trial.reason else ""
        message(f"already trained, nothing to do: {folder}{reason}")
    elif trial.reason:
        message(trial.reason)
    probed = (
        f" · probe on dev clips: mAP {trial.metrics['dev_map']:.3f}, linear accuracy "
        f"{trial.metrics['dev_probe_accuracy']:.3f}"
        if "dev_map" in trial.metrics
        else ""
    )
    message(f"dev CPC accuracy {trial.metrics[f'dev_{spec.accuracy}']:.3f}{probed}")
    next_steps(
        f"cpc report {folder} -o report.html",
        f"cpc export {folder} --best -o model",
        "cpc study run demo",
    )


def _single_trial(
    base: str | None, overrides: list[str], corpus: str | None, knobs: dict[str, Any], seed: int
) -> StudySpec:
    """A spec of one cell and one seed, named by its content."""
    from pydantic import ValidationError

    from cpc_core.config import CpcConfig
    from cpc_core.storage_path import StoragePath
    from search_spaces.first_weights import starting_models
    from search_spaces.samplers.grid import GridSampler
    from search_spaces.space import SearchSpace, apply
    from study.spec.messages import SpecError, validation_messages
    from study.spec.study_spec import StudySpec
    from study.spec.yaml_document import Document

    if corpus is not None:
        StoragePath.of(corpus)  # An empty one is refused.
    if "adversary" in knobs and any(each.startswith("base.adversary.") for each in overrides):
        # What is set are fields of the chosen kind.
        overrides = [f"base.adversary.kind={knobs['adversary']}", *overrides]
    if base is None and "init" in knobs:
        overrides = [_base_of(knobs["init"]), *overrides]
    shaped = StudySpec.load(
        base or "demo", [*overrides, "space={}", "seeds=[0]", "sampler={kind: grid}", "claims=[]"]
    )
    unperturbed = shaped.config({}, seed).adversary.kind == "none"
    if "epsilon_db" in knobs and "adversary" not in knobs and unperturbed:
        knobs = {**knobs, "adversary": "fgsm"}
    try:
        config = apply(shaped.base, knobs, seed)
    except ValidationError as error:
        raise SpecError(
            "the command line", validation_messages(error, Document("command line", {}), CpcConfig)
        ) from error
    settings = config.model_dump(mode="json", exclude={"seed"})
    models, problems = starting_models(settings, SearchSpace({}), [config])
    if problems:
        raise SpecError("the command line", [problem for _, problem in problems])
    spec = StudySpec(
        name="trial",
        question="How good is this one setting?",
        corpus=shaped.corpus if corpus is None else corpus,
        base=settings,
        models=models,
        space=SearchSpace({}),
        seeds=(seed,),
        sampler=GridSampler(),
    )
    return spec.model_copy(update={"name": f"trial-{spec.hash}"})


def _base_of(model: str) -> str:
    """The configuration that an export was trained with, as an override of a spec's base."""
    from cpc_core.export.first_weights import read_first_weights

    trained = read_first_weights(model).config.model_dump(mode="json", exclude={"seed"})
    for name in ("model", "model_hash"):
        trained["initialisation"].pop(name, None)
    return f"base={json.dumps(trained)}"


def _start_notice(spec: StudySpec) -> str | None:
    """Sentence about the export that a trial starts from; None where there is none."""
    from cpc_core.export.first_weights import read_first_weights, same_objective

    (named,) = spec.models or (None,)
    if named is None:
        return None
    trained = read_first_weights(named).config
    config = spec.config({}, spec.seeds[0])
    return f"starts from the weights of {named}" + (
        ""
        if same_objective(config, trained)
        else "; the objective's are drawn, since similarity or predicted steps are others"
    )


def _ranked_without_labels(spec: StudySpec) -> StudySpec:
    """The spec of the trial, ranked by the accuracy that needs no labels."""
    from study.spec.objectives import ObjectiveSpec

    ranking = spec.accuracy == "ranking_accuracy"
    objective = ObjectiveSpec(metric="dev_ranking_accuracy" if ranking else "dev_accuracy")
    ranked = spec.model_copy(update={"objective": objective})
    return ranked.model_copy(update={"name": f"trial-{ranked.hash}"})
