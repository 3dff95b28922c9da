"""Datasets. To add one: write its file, then name it in the union below.

Read ``raw`` first (what a dataset hands over), then ``table`` or ``idx``, then ``encoding`` and
``images`` (from what was read to what a model takes), and ``fetching`` (digests and URLs).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hardgate.datasets.breast_cancer import BreastCancer
from hardgate.datasets.idx import Idx
from hardgate.datasets.image_folder import ImageFolder
from hardgate.datasets.npz import Npz
from hardgate.datasets.raw import Encoded, Raw
from hardgate.datasets.table import Table

Dataset = Annotated[
    Table | Idx | Npz | ImageFolder | BreastCancer,
    Field(discriminator="kind"),
]

__all__ = ["BreastCancer", "Dataset", "Encoded", "Idx", "ImageFolder", "Npz", "Raw", "Table"]
