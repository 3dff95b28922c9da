"""Whose rows are told apart: some that the candidate was trained on, and some that it never saw.

Members are rows of the training split that stand in the corpus as they are; the others are rows of
the test split. Both were drawn from the same data, so a model that remembers nothing ranks them
alike, whatever attack looks at it: that is what makes the numbers honest, and not the shadows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hardgate.errors import DataError
from hardgate.samples import Samples
from hardgate.subject import Origin, Subject

BATCH = 1000


@dataclass(frozen=True)
class Audited:
    """A pool of samples, and which of them the candidate was trained on, shape ``(n,)``."""

    pool: Samples
    member: Tensor


def choose(subject: Subject, origin: Origin, count: int) -> Audited:
    """Draw up to ``count`` rows of each side.

    A test row that stands in the corpus too, cell by cell and with its label, is no row that the
    model never saw, and is left out.

    Raises
    ------
    DataError
        If fewer than two rows of a side are left.
    """
    corpus = origin.corpus()
    tested = list(_spelled(subject.test))
    known = set(tested).intersection(_spelled(corpus))
    unseen = torch.tensor([row not in known for row in tested])
    trained_on = torch.isin(subject.train.rows, corpus.rows[corpus.rows >= 0])
    generator = torch.Generator().manual_seed(subject.seed)
    sides = [
        _some(subject.train, trained_on, count, generator),
        _some(subject.test, unseen, count, generator),
    ]
    if min(len(side) for side in sides) < 2:
        raise DataError(
            f"privacy compares rows trained on with others, and there are {len(sides[0])} and "
            f"{len(sides[1])}: a test split that stands in the training data audits nothing"
        )
    return Audited(
        Samples(*(torch.cat(parts) for parts in zip(*map(_parts, sides), strict=True))),
        torch.arange(len(sides[0]) + len(sides[1])) < len(sides[0]),
    )


def _parts(samples: Samples) -> tuple[Tensor, Tensor, Tensor]:
    return samples.inputs, samples.labels, samples.rows


def _spelled(samples: Samples) -> Iterator[bytes]:
    """Spell each row and its label as bytes, to find it again."""
    for inputs, labels in samples.batches(BATCH):
        for row, label in zip(inputs.numpy(), labels.numpy(), strict=True):
            yield row.tobytes() + label.tobytes()


def _some(samples: Samples, eligible: Tensor, count: int, generator: torch.Generator) -> Samples:
    (positions,) = torch.where(eligible)
    return samples.take(positions[torch.randperm(len(positions), generator=generator)[:count]])
