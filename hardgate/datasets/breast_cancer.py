"""The Wisconsin breast cancer set (Wolberg, Mangasarian, Street, 1995) that scikit-learn ships.

The file is read without scikit-learn, whose import takes seconds; a test compares the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from hardgate.datasets import encoding, fetching
from hardgate.datasets.raw import Encoded, Raw, Rows
from hardgate.protection import Recipients
from hardgate.records import FileRecord, Record

ROLES = encoding.Roles(target="diagnosis", classes=("benign", "malignant"))
PACKAGED = Path("sklearn/datasets/data/breast_cancer.csv")  # relative to the installed packages
LABELS = ("malignant", "benign")  # by the number that the file writes
MEASURED = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
)
COLUMNS = tuple(
    pattern.format(name) for pattern in ("mean {}", "{} error", "worst {}") for name in MEASURED
)


class BreastCancer(Record):
    """569 tumours, 30 real-valued measurements each; benign or malignant."""

    kind: Literal["breast-cancer"]
    encrypt_to: Recipients = ()  # who may read what is written of it

    @property
    def sources(self) -> tuple[fetching.Source, ...]:
        """No file of the project."""
        return ()

    def load(self, root: Path, *, cache: Path | None = None) -> Raw:  # noqa: ARG002  as all
        """Read the package's file; its record's path is relative to the installed packages."""
        path = fetching.packaged(PACKAGED)
        sha256 = fetching.digest(path, PACKAGED.as_posix())
        frame = pd.read_csv(path, header=0, names=[*COLUMNS, ROLES.target])
        frame[ROLES.target] = frame[ROLES.target].map(dict(enumerate(LABELS)))
        return Raw(
            frame=frame,
            files=(FileRecord(path=PACKAGED, sha256=sha256),),
            inputs=COLUMNS,
            target=ROLES.target,
        )

    def encode(self, raw: Raw, train_rows: Rows) -> Encoded:
        """Turn the rows into numbers, with statistics of the training rows alone."""
        return encoding.encode(raw, train_rows, ROLES)
