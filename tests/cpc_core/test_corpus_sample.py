from __future__ import annotations

import csv
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.sample import SAMPLE_FOLDER, open_corpus, sample_corpus
from cpc_core.errors import CorpusError
from cpc_core.evaluation.probe import scored_labels
from tests.helpers.recordings import noise_corpus


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CPC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_bundled_corpus_is_imported_only_once(cache: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: sample_corpus(), range(4)))
    assert list(cache.iterdir()) == [folders[0]]
    assert set(folders) == {folders[0]}
    before = (folders[0] / "manifest.json").stat().st_mtime_ns
    corpus = open_corpus("sample")
    assert (folders[0] / "manifest.json").stat().st_mtime_ns == before
    assert corpus.manifest.rows == {"train": 97, "dev": 76, "test": 62}
    assert corpus.name == "sample"
    assert (
        len({label for split in corpus.splits for label in corpus.read_split(split).labels}) == 12
    )
    assert len((Path(corpus.folder) / "rejected.csv").read_text().splitlines()) == 1


def test_no_source_of_the_bundled_corpus_is_in_two_splits(cache: Path) -> None:
    """A source is the instrument, kit, speaker or author of a recording, as ATTRIBUTION.md says."""
    corpus = open_corpus("sample")
    groups = [set(corpus.read_split(split).groups) for split in corpus.splits]
    assert len(set.union(*groups)) == sum(len(split) for split in groups)
    with (SAMPLE_FOLDER / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    authors: dict[str, set[str]] = {}
    for row in rows:
        if row["dataset"] != "FluidR3 GM":  # one author, of many instruments
            authors.setdefault(row["attribution"].lstrip("0123456789 "), set()).add(row["split"])
    assert all(len(splits) == 1 for splits in authors.values())
    attribution = (SAMPLE_FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert all(f"- {row['attribution']}" in attribution for row in rows)
    counts = Counter((row["dataset"], row["license"]) for row in rows)
    assert all(
        f"## {dataset}: {count} clips, {license}" in attribution
        for (dataset, license), count in counts.items()
    )


def test_every_label_of_the_bundled_corpus_is_scored(cache: Path) -> None:
    corpus = open_corpus("sample")
    train, dev = (corpus.read_split(split).multi_hot() for split in ("train", "dev"))
    assert len(scored_labels(train, dev)) == len(corpus.manifest.label_names) == 18


def test_the_bundled_audio_is_small() -> None:
    files = [path for path in SAMPLE_FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 8 * 2**20


def test_a_damaged_copy_is_named_with_the_fix(cache: Path) -> None:
    folder = sample_corpus()
    (folder / "dev-00000.parquet").unlink()
    with pytest.raises(
        CorpusError,
        match=f"the copy of the bundled corpus in {folder} is damaged .*: delete that folder",
    ):
        open_corpus("sample")


def test_a_cache_that_cannot_be_written_is_named(cache: Path) -> None:
    cache.touch()
    with pytest.raises(CorpusError, match=r"cannot be written .*CPC_CACHE names the folder for it"):
        open_corpus("sample")


def test_any_other_name_is_a_folder(tmp_path: Path) -> None:
    corpus = noise_corpus(tmp_path, train=4)
    assert open_corpus(str(corpus.folder)) == Corpus.open(corpus.folder)
