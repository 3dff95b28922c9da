"""The augmentation stage opens the training split and no other."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from hardgate import params as settings
from hardgate import samples
from hardgate.augmentations import Augmenting
from hardgate.params import Params
from hardgate.records import CorpusRecord, DatasetRecord, FileRecord, ImageInput, SplitRecord
from hardgate.samples import Samples
from hardgate.threat import Threat

pytestmark = pytest.mark.slow  # Prefect takes its time to import

SECTION = {
    "surrogate": {
        "architecture": {"name": "mlp", "hidden": [8]},
        "optimiser": {"name": "adam", "rate": 0.01},
        "epochs": 1,
        "batch_size": 32,
        "samples": 60,
    },
    "members": [
        {"name": "corruption", "share": 0.5, "severities": [1, 2]},
        {
            "name": "gan",
            "share": 0.2,
            "steps": 5,
            "batch_size": 16,
            "rate": 0.002,
            "width": 16,
            "confidence": 0.1,
        },
    ],
}


def split(name: str, seed: int, count: int) -> SplitRecord:
    draws = np.random.default_rng(seed)
    images = torch.from_numpy(draws.integers(0, 256, (count, 1, 12, 12), dtype=np.uint8))
    labels = torch.from_numpy(draws.integers(0, 2, count))
    made = Samples(images, labels, torch.arange(count))
    return samples.write(made, Path(f"{name}.safetensors"), root=Path(), classes=2)


@pytest.fixture
def params(monkeypatch, tmp_path) -> Iterator[Params]:
    credit = settings.load("credit")
    monkeypatch.chdir(tmp_path)
    yield credit.model_copy(
        update={
            "threat": Threat(norm="Linf", eps=0.1, access="white-box", queries=10),
            "augmentation": Augmenting.model_validate(SECTION),
        }
    )


def dataset(*, others: int) -> DatasetRecord:
    """Describe a dataset; the held-out and test images are made from the seed ``others``."""
    nothing = FileRecord(path=Path("nothing"), sha256="0" * 64)
    return DatasetRecord(
        model="credit",
        source=(nothing,),
        input=ImageInput(
            kind="images", shape=(1, 12, 12), classes=("a", "b"), mean=(0.5,), scale=(0.3,)
        ),
        train=split("train", 0, 80),
        held_out=split("held_out", others, 30),
        test=split("test", others + 1, 30),
        suite=nothing,
        expectations=1,
        data_docs=Path("docs.html"),
        measurements={},
        seed=0,
        params_sha256="0" * 64,
        commit="none",
    )


def augmented(params: Params, described: DatasetRecord) -> CorpusRecord:
    from tasks import augmentation

    return augmentation.augment.fn(params, described)


def test_other_held_out_and_test_images_give_the_same_corpus(params) -> None:
    first = augmented(params, dataset(others=100)).train
    second = augmented(params, dataset(others=200)).train
    assert first.sha256 == second.sha256
    assert first.samples > 80


def test_the_stage_runs_with_the_held_out_and_test_files_gone(params) -> None:
    described = dataset(others=100)
    whole = augmented(params, described).train
    Path("held_out.safetensors").unlink()
    Path("test.safetensors").unlink()
    assert augmented(params, described).train.sha256 == whole.sha256


def test_the_record_counts_what_was_added(params) -> None:
    record = augmented(params, dataset(others=100))
    assert record.original_samples == 80
    assert record.train.samples == 80 + sum(tally.added for tally in record.tallies)
    assert [tally.name for tally in record.tallies] == ["corruption", "gan"]
