"""Who stands out: k-anonymity and l-diversity of a table.

Sweeney (2002), "k-anonymity: a model for protecting privacy": rows that agree in all columns which
somebody may know of a person (the quasi-identifiers) are a class, and k is the size of the
smallest. Machanavajjhala et al. (2007), "l-diversity: privacy beyond k-anonymity": whoever is only
known to be in a class is still found out when all of it have one label; l is the smallest number
of different labels.

The smallest class alone says that one row stands out, not how many do, so the share of rows in
classes that are too small is measured and judged. Both are counted over the whole table, so there
is no sampling error. pycanon (Sáinz-Pardo Díaz and López García, 2022) gives the same k and l, and
a test compares; it walks the classes one by one, which takes minutes on large tables, and leaves
rows with a missing cell out, where here missing is a value like others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hardgate import measurements, statistics
from hardgate.errors import ParamsError
from hardgate.measurements import AnonymityProperty
from hardgate.records import Measurement


def measure(
    frame: pd.DataFrame,
    quasi_identifiers: Sequence[str],
    *,
    label: str,
    k: int,
    l: int,  # noqa: E741  their names in the literature
) -> dict[str, Measurement]:
    """Measure the smallest class and the share of rows below ``k``; and likewise ``l`` labels.

    Raises
    ------
    ParamsError
        If a quasi-identifier is no column of the table, or is the label.
    """
    for name in quasi_identifiers:
        if name not in frame or name == label:
            raise ParamsError(
                f"evaluation.risks: personal-data.quasi_identifiers names {name!r}, which is "
                f"{'the target' if name == label else 'no column of the table'}"
            )
    classes = frame.groupby(list(quasi_identifiers), dropna=False, sort=False, observed=True)
    sizes = classes[label].transform("size")
    labels = classes[label].transform("nunique", dropna=False)
    return _of("k_anonymity", sizes, k) | _of("l_diversity", labels, l)


def _of(what: AnonymityProperty, per_row: pd.Series[Any], wanted: int) -> dict[str, Measurement]:
    rows = len(per_row)
    below = int(np.count_nonzero(per_row < wanted))
    return {
        measurements.smallest(what): statistics.exact(int(per_row.min()), rows),
        measurements.below(what, wanted): statistics.exact(below / rows, rows),
    }
