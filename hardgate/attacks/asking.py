"""What attacks that only ask share: which query an input fell with, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

STANDS = -1  # in place of a query: the input never fell
ROWS = 256  # images at once on a processor: more are no faster, and leave its cache
ROWS_CUDA = 8192


@dataclass(frozen=True)
class Searched:
    """What was found, and the query that each input first fell with: 1 is the first."""

    inputs: Tensor  # (n, ...), admissible
    fell_at: Tensor  # (n,), int64
