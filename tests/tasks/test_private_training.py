"""The training stage with privacy: what it writes down, and that what it wrote can be loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hardgate import candidates, samples
from hardgate import params as settings
from hardgate.gates.privacy_budget import PrivacyBudgetGate
from hardgate.params import Params
from hardgate.records import (
    CandidateRecord,
    CorpusRecord,
    DatasetRecord,
    FileRecord,
    ImageInput,
    SplitRecord,
    Verdict,
)
from hardgate.samples import Samples

pytestmark = pytest.mark.slow  # Prefect takes its time to import

NOTHING = FileRecord(path=Path("nothing"), sha256="0" * 64)
GATE = PrivacyBudgetGate(kind="privacy_budget", bound=3.0, delta=1e-5, min_samples=500)


def split(name: str, count: int, *, made: int = 0) -> SplitRecord:
    draws = np.random.default_rng(count)
    images = torch.from_numpy(draws.integers(0, 256, (count + made, 1, 28, 28), dtype=np.uint8))
    labels = torch.from_numpy(draws.integers(0, 10, count + made))
    rows = torch.cat([torch.arange(count), torch.full((made,), -1)])
    drawn = Samples(images, labels, rows)
    return samples.write(drawn, Path(f"{name}.safetensors"), root=Path(), classes=10)


def params(name: str, **changes: object) -> Params:
    """One candidate of mnist's comparison."""
    mnist = settings.load("mnist")
    assert mnist.compare is not None
    (candidate,) = (one for one in mnist.compare.candidates if one.name == name)
    return mnist.varied(
        candidate.model_copy(update={"training": {**candidate.training, **changes}})
    )


def trained(section: Params) -> CandidateRecord:
    from tasks import training

    dataset = DatasetRecord(
        model="mnist",
        source=(NOTHING,),
        input=ImageInput(
            kind="images",
            shape=(1, 28, 28),
            classes=tuple("0123456789"),
            mean=(0.13,),
            scale=(0.31,),
        ),
        train=split("train", 600),
        held_out=split("held_out", 50),
        test=split("test", 60),
        suite=NOTHING,
        expectations=1,
        data_docs=Path("docs.html"),
        measurements={},
        seed=0,
        params_sha256="0" * 64,
        commit="none",
    )
    corpus = CorpusRecord(
        model="mnist",
        made_from="0" * 64,
        train=split("corpus", 600, made=200),
        original_samples=600,
        tallies=(),
        seed=0,
        params_sha256="0" * 64,
        commit="none",
    )
    return training.train.fn(section, dataset, corpus)


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CandidateRecord:
    section = params("private", epochs=2, batch_size=150)
    monkeypatch.chdir(tmp_path)
    return trained(section)


def test_the_record_holds_a_budget_that_the_gate_takes(private: CandidateRecord) -> None:
    found = private.measurements
    assert GATE.judge(found).verdict is Verdict.PASSED
    assert found["privacy/epsilon"].samples == 600  # rows, and none that augmentation made
    assert found["privacy/steps"].value == 8
    assert private.best_epoch == private.epochs == 2


def test_the_model_on_disk_holds_no_statistics_of_the_rows(private: CandidateRecord) -> None:
    spec = candidates.read_spec(private.directory)
    assert isinstance(spec, ImageInput)
    assert (spec.mean, spec.scale) == ((0.0,), (1.0,))
    model = candidates.load(private.directory, torch.device("cpu"))
    assert model(torch.rand(2, 1, 28, 28)).isfinite().all()


def test_the_history_says_no_loss(private: CandidateRecord) -> None:
    header, *epochs = private.history.path.read_text(encoding="utf-8").splitlines()
    assert header.startswith("epoch,loss,rate")
    assert [line.split(",")[1] for line in epochs] == ["", ""]


def test_a_model_that_is_not_private_is_unmeasured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    section = params("undefended", epochs=1)
    monkeypatch.chdir(tmp_path)
    record = trained(section)
    assert record.measurements == {}
    assert GATE.judge(record.measurements).verdict is Verdict.UNMEASURED
