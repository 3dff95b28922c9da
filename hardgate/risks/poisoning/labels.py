"""Labels that a model trained on the other samples has good reason to doubt.

Northcutt, Jiang and Chuang (2021), "Confident learning: estimating uncertainty in dataset labels":
a label is doubted when another class is more probable than that class usually is where it is the
label. Probabilities are out of sample, or a model would vouch for what it was told.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from hardgate.risks.poisoning.surrogate import Surrogate


def doubted(surrogate: Surrogate, *, folds: int, generator: torch.Generator) -> NDArray[np.bool_]:
    """Tell which labels are probably wrong, shape ``(n,)``."""
    from cleanlab.filter import find_label_issues  # takes a second to import

    probabilities = surrogate.out_of_sample(folds, generator).double()
    labels = surrogate.targets.argmax(1).numpy()
    present = np.unique(labels)  # a class without samples has no usual probability
    if len(present) < 2:
        return np.zeros(len(labels), dtype=bool)
    shares = probabilities[:, torch.from_numpy(present)]
    found: NDArray[np.bool_] = find_label_issues(
        np.searchsorted(present, labels),
        (shares / shares.sum(1, keepdim=True)).numpy(),
        n_jobs=1,
    )
    return found
