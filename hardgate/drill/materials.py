"""What the candidates of the drill are made of: slices of real data, and params around them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

CREDIT = Path("data/credit/uci-default-of-credit-card-clients.csv.gz")
SECTIONS = Path(__file__).with_name("sections.yaml")
ROWS, TEST = 5000, 500

Kind = Literal["rows", "digits"]


@dataclass
class Digits:
    """Images, uint8 of shape ``(n, h, w)``, and labels, of both splits."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]


@dataclass
class Material:
    """Data of one kind or the other, and the section of params.yaml that they are hardened by."""

    section: dict[str, Any]
    rows: pd.DataFrame
    digits: Digits

    def write(self, kind: Kind, folder: Path) -> None:
        """Write the data where the section looks for them."""
        folder.mkdir(parents=True, exist_ok=True)
        if kind == "rows":
            self.rows.to_csv(folder / "rows.csv", index=False)
        else:
            np.savez(folder / "digits.npz", **vars(self.digits))


def material(kind: Kind, name: str, root: Path) -> Material:
    """Give fresh data and the section of a model of this name; ``root`` holds the credit data."""
    sections = yaml.safe_load(SECTIONS.read_text(encoding="utf-8").replace("NAME", name))
    return Material(copy.deepcopy(sections[kind]), rows(root), digits())


def rows(root: Path) -> pd.DataFrame:
    """Draw clients of the credit data."""
    return pd.read_csv(root / CREDIT).sample(ROWS, random_state=0).reset_index(drop=True)


def digits() -> Digits:
    """Give scikit-learn's digits, the last of them to test on."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images * (255 / 16)).round().astype(np.uint8)
    labels = bunch.target.astype(np.int64)
    return Digits(images[:-TEST], labels[:-TEST], images[-TEST:], labels[-TEST:])
