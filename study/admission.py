"""Whether a spec may go on in a folder that holds a study."""

from __future__ import annotations

from cpc_core.corpus.location import Location
from cpc_core.errors import ConfigError
from study.reading import SPEC, read_provenance, read_spec
from study.spec import StudySpec


def refuse_another(folder: Location, spec: StudySpec, corpus_hash: str) -> None:
    """Makes sure that the folder's study is the spec's.

    Raises:
        ConfigError: It is of another spec, corpus or store.
    """
    stored = read_spec(folder)
    if stored.hash != spec.hash:
        raise ConfigError(
            f"{folder} holds the study '{stored.name}' with spec {stored.hash}, not {spec.hash}: choose another folder with -o, "
            f"or restore the spec that it was started with{_continuation(stored, spec)}"
        )
    stored_corpus = read_provenance(folder)["corpus_hash"]
    if stored_corpus != corpus_hash:
        raise ConfigError(
            f"{folder} was started on a corpus with hash {stored_corpus[:12]}, but {spec.corpus} has {corpus_hash[:12]}: "
            "choose another folder with -o, or restore the corpus"
        )
    if stored.store != spec.store:
        raise ConfigError(
            f"{folder} keeps its trials in {stored.store or 'its journal'}, not in {spec.store or 'its journal'}: go on with "
            f"`cpc study resume {folder}`, or edit store in {folder / SPEC} where the database has moved"
        )


def _continuation(stored: StudySpec, spec: StudySpec) -> str:
    """What to do where the specs differ in nothing but how long they train."""

    def split(given: StudySpec) -> tuple[StudySpec, bool]:
        training = {name: value for name, value in given.base.get("training", {}).items() if name != "steps"}
        decays = given.base.get("optimizer", {}).get("decay_steps") is not None
        return given.model_copy(update={"base": {**given.base, "training": training}}), decays

    (shorter, decays), (longer, _) = split(stored), split(spec)
    if shorter.hash != longer.hash:
        return ""
    if decays:
        return ". To train longer, keep both: in a folder beside this one, every trial goes on from its last checkpoint here"
    return (
        ". Only training.steps differs, but the learning rate falls over as many steps, so that no step would be the same: name "
        "optimizer.decay_steps in both specs, and in a folder beside this one every trial goes on from its last checkpoint here"
    )
