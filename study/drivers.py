"""Whether a study is being run, and by which process, wherever its trials are remembered."""

from __future__ import annotations

import fcntl
import json
import time
from contextlib import closing, suppress
from pathlib import Path

from optuna.trial import TrialState

from cpc_core.corpus.location import Location
from cpc_core.errors import ConfigError
from study.files import Place
from study.lease import LEASE_S, has_ended
from study.lock import LOCK
from study.reaching import reached
from study.reading import read_provenance, read_spec
from study.spec import StudySpec
from study.storage import known, study_name, trial_lock


def driver_of(study: Place) -> str | None:
    """The process that is running a study, in words; None while nobody is.

    Of drivers that share a database only those are seen that are training a trial. Below a URI a driver of another machine that was
    killed is seen for `LEASE_S` more.

    Raises:
        ConfigError: The folder holds no study, or one that is damaged or not to be read.
        UnreachableError: Its store does not answer.
    """
    folder, spec = Location.of(study), read_spec(study)
    with reached(folder, spec.store):
        if spec.store is not None:
            return _in_database(folder, spec, spec.store)
        return _of_lock(Path(folder)) if folder.is_local else _of_lease(folder)


def _of_lock(study: Path) -> str | None:
    try:
        file = (study / LOCK).open(encoding="ascii")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{study / LOCK} cannot be read ({error.strerror}): have its owner make it readable for you") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return f"process {file.read().strip()}"
    return None


def _of_lease(study: Location) -> str | None:
    drivers = study / "drivers"
    for name, info in drivers.files_below().items():
        with suppress(FileNotFoundError):
            holder = json.loads((drivers / name).read_bytes())
            if not has_ended(holder) and time.time() - info.mtime_ns / 1e9 < LEASE_S:
                return f"process {holder['process']} on {holder['machine']}"
    return None


def _in_database(folder: Location, spec: StudySpec, store: str) -> str | None:
    from study.postgres import connect
    from study.postgres_locks import is_taken

    provenance = read_provenance(folder)
    running = [trial.number for trial in known(folder, spec, provenance)[0] if trial.state == TrialState.RUNNING]
    name = study_name(spec, provenance)
    with closing(connect(store)) as connection:
        taken = next((number for number in running if is_taken(connection, trial_lock(name, number))), None)
    return None if taken is None else f"the driver of trial {taken}"
