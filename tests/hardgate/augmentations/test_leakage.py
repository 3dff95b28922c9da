"""Nothing of the held-out or test split reaches what augmentation makes."""

import numpy as np
import pandas as pd
import torch

from hardgate import augmentations, region, splits
from hardgate.augmentations import Augmenting
from hardgate.datasets import Raw, encoding
from hardgate.samples import Samples
from hardgate.threat import Threat

ROLES = encoding.Roles(target="bad", categorical=("job",), integer=("debts",))
MEMBERS = [
    {"name": "noise", "share": 0.5, "scale": 0.1},
    {"name": "missing", "share": 0.5, "rate": 0.3},
    {"name": "swap", "share": 0.5, "rate": 0.5},
    {"name": "oversample", "share": 1.0, "jitter": 0.1},
    {
        "name": "adversarial",
        "share": 0.2,
        "attack": {
            "name": "constrained-pgd",
            "step_size": 0.2,
            "steps": 4,
            "restarts": 1,
            "check_every": 2,
        },
    },
    {
        "name": "gan",
        "share": 0.2,
        "steps": 30,
        "batch_size": 32,
        "rate": 0.002,
        "width": 32,
        "confidence": 0.3,
    },
]
SURROGATE = {
    "architecture": {"name": "mlp", "hidden": [16]},
    "optimiser": {"name": "adam", "rate": 0.02},
    "epochs": 3,
    "batch_size": 64,
    "samples": 400,
}


def frame(seed: int) -> pd.DataFrame:
    draws = np.random.default_rng(seed)
    bad = draws.integers(0, 2, 500)
    return pd.DataFrame(
        {
            "income": draws.gamma(4, 10, 500) + 20 * bad,
            "debts": draws.integers(0, 50, 500),
            "job": draws.choice(["clerk", "nurse", "smith"], 500),
            "bad": bad,
        }
    )


def augmented(table: pd.DataFrame, train: np.ndarray) -> bytes:
    """Encode the table as validation does, augment its training rows, and give all bytes."""
    raw = Raw(
        frame=table,
        files=(_file(),),
        inputs=("income", "debts", "job"),
        target="bad",
    )
    encoded = encoding.encode(raw, train, ROLES)
    threat = Threat.model_validate(
        {
            "norm": "Linf",
            "eps": 0.3,
            "access": "white-box",
            "queries": 100,
            "columns": {"income": {}, "debts": {}},
        }
    )
    corpus, _ = augmentations.augment(
        Augmenting.model_validate({"members": MEMBERS, "surrogate": SURROGATE}),
        Samples(
            torch.from_numpy(encoded.inputs[train]),
            torch.from_numpy(encoded.labels[train]),
            torch.from_numpy(train),
        ),
        spec=encoded.spec,
        threat=threat,
        region=region.build(threat, encoded.spec),
        device=torch.device("cpu"),
        seed=3,
    )
    return b"".join(part.numpy().tobytes() for part in (corpus.inputs, corpus.labels, corpus.rows))


def _file():
    from hardgate.records import FileRecord

    return FileRecord(path="data/table.csv", sha256="0" * 64)


def test_poisoned_held_out_and_test_rows_do_not_change_one_byte() -> None:
    table = frame(seed=1)
    raw = Raw(frame=table, files=(_file(),), inputs=("income", "debts", "job"), target="bad")
    shares = splits.Shares(held_out=0.2, test=0.2)
    assignment = splits.assign(raw, shares, seed=0)
    train = assignment.rows("train")
    poisoned = table.copy()
    others = np.setdiff1d(np.arange(500), train)
    poisoned.loc[others, "income"] = 1e9
    poisoned.loc[others, "debts"] = -777
    poisoned.loc[others, "job"] = "clerk"
    poisoned.loc[others, "bad"] = 1 - poisoned.loc[others, "bad"]
    assert len(others) > 150
    assert augmented(table, train) == augmented(poisoned, train)


def test_the_poison_would_show_if_it_were_let_in() -> None:
    table, train = frame(seed=1), np.arange(300)
    poisoned = table.copy()
    poisoned.loc[299, "income"] += 1.0
    assert augmented(table, train) != augmented(poisoned, train)


def test_a_category_of_test_rows_alone_is_missing_and_reaches_nothing() -> None:
    table = frame(seed=1)
    train, others = np.arange(300), [317, 480]
    before = augmented(table, train)
    table.loc[others, "job"] = "astronaut"
    assert augmented(table, train) == before
    raw = Raw(frame=table, files=(_file(),), inputs=("income", "debts", "job"), target="bad")
    encoded = encoding.encode(raw, train, ROLES)
    assert encoded.spec.columns[2].categories == ("clerk", "nurse", "smith")
    assert encoded.inputs[others, 2].tolist() == [-1, -1]
    table.loc[299, "job"] = "astronaut"  # once it is trained on, it is a category
    job = encoding.encode(raw, train, ROLES).spec.columns[2]
    assert job.categories == ("astronaut", "clerk", "nurse", "smith")


def test_a_category_that_the_test_rows_lack_makes_no_difference() -> None:
    table, train = frame(seed=1), np.arange(300)
    poisoned = table.copy()
    poisoned.loc[300:, "job"] = None
    assert augmented(table, train) == augmented(poisoned, train)


def test_no_added_digit_is_a_test_digit(images, digits) -> None:
    added = images.added(
        {"name": "corruption", "share": 1.0, "severities": [1, 2, 3]},
        {
            "name": "adversarial",
            "share": 0.2,
            "attack": {"name": "pgd", "step_size": 0.1, "steps": 4, "restarts": 1},
        },
        {
            "name": "gan",
            "share": 0.5,
            "steps": 30,
            "batch_size": 32,
            "rate": 0.002,
            "width": 32,
            "confidence": 0.0,
        },
    )
    tested, _ = digits("t10k", 10_000)
    known = {image.numpy().tobytes() for image in tested}
    assert len(added) > 900
    assert not any(image.numpy().tobytes() in known for image in added.inputs)
