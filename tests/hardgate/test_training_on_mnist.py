"""Training on the real digits: what a toy cannot show."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hardgate import region, training
from hardgate.records import ImageInput
from hardgate.samples import Samples
from hardgate.threat import Threat
from hardgate.training import Fitted, Training

SPEC = ImageInput(
    kind="images",
    shape=(1, 28, 28),
    classes=tuple("0123456789"),
    mean=(0.1307,),
    scale=(0.3081,),
)
REGION = region.build(Threat(norm="Linf", eps=0.3, access="white-box", queries=1), SPEC)


def digits() -> Samples:
    folder = Path("data/mnist")
    images = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 1, 28, 28)[:12300].copy()
    numbers = np.frombuffer(labels, np.uint8, offset=8)[:12300].astype(np.int64)
    return Samples(torch.from_numpy(pixels), torch.from_numpy(numbers), torch.arange(12300))


def fit(defense: dict[str, Any], checkpoint: Path, **changes: Any) -> Fitted:
    params = Training.model_validate(
        {
            "architecture": {"name": "small-cnn"},
            "defense": defense,
            "optimiser": {"name": "adam", "rate": 0.005},
            "schedule": {"name": "constant"},
            "epochs": 5,
            "batch_size": 128,
            "warmup_epochs": 1,
            "early_stopping": {
                "every": 1,
                "steps": 20,
                "step_size": 0.03,
                "samples": 300,
                "patience": 9,
                "score": "accuracy",
            },
            "overfitting": {"catastrophic": 0.2, "robust": 0.1, "evaluations": 3},
            **changes,
        }
    )
    samples = digits()
    return training.fit(
        params,
        SPEC,
        REGION,
        samples.take(torch.arange(12000)),
        samples.take(torch.arange(12000, 12300)),
        seed=1,
        device=torch.device("cpu"),
        checkpoint=checkpoint,
        identity="digits",
    )


@pytest.mark.slow
def test_steps_too_long_overfit_catastrophically_and_are_caught(tmp_path: Path) -> None:
    fitted = fit({"recipe": "fgsm-rs", "step_size": 0.6}, tmp_path / "a", epochs=12)
    assert fitted.stopped == "catastrophic overfitting"
    assert fitted.best_epoch < fitted.epochs
    best, last = fitted.history[fitted.best_epoch - 1].evaluated, fitted.history[-1].evaluated
    assert best is not None
    assert last is not None
    assert best.deciding > last.deciding + 0.2


@pytest.mark.slow
def test_a_few_steps_of_pgd_make_digits_robust_within_seconds(tmp_path: Path) -> None:
    pgd = {"recipe": "pgd", "step_size": 0.2, "steps": 3}
    fitted = fit(pgd, tmp_path / "a", schedule={"name": "one-cycle"})
    best = fitted.history[fitted.best_epoch - 1].evaluated
    assert best is not None
    assert best.clean > 0.9
    assert best.robust is not None
    assert best.robust > 0.6
