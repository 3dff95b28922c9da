"""Which rows are new, and which old ones they are held against.

With a file of new data, its rows are new and all of ours are old. Without one, the newest rows of
each split are: raw files grow at their end, so the rows that came last are the ones a scheduled
retraining has just added. (The test split would say nothing: it is drawn from the same rows as the
training split, or it is the source's own and old.)

Two comparisons need two sides each. What the inputs look like is asked of the training split,
because that is what the model stands on. What the model answers is asked of rows that it was not
trained on, on both sides: a model is surer of what it has seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hardgate.errors import DataError
from hardgate.samples import Samples
from hardgate.subject import Origin, Subject

LEAST = 10  # rows of a side; less shows nothing


@dataclass(frozen=True)
class Compared:
    """Old and new inputs, and old and new rows that the model was not trained on."""

    old: Tensor
    new: Tensor
    unseen: Samples
    asked: Tensor
    truth: Tensor | None  # the labels of ``asked``, where somebody knows them


def in_file(path: str, subject: Subject, origin: Origin, *, samples: int) -> Compared:
    """Hold a file against our own rows: its images against ones as little known to the model."""
    fresh = origin.fresh(path, subject.spec)
    unseen = _drawn(_joined(subject.held_out, subject.test), samples, subject.seed)
    old = _drawn(subject.train, samples, subject.seed).inputs
    chosen = _choice(len(fresh.inputs), samples, subject.seed)
    new = fresh.inputs[chosen]
    _refuse_few(len(old), len(unseen), len(new))
    return Compared(
        old=unseen.inputs if subject.spec.kind == "images" else old,
        new=new,
        unseen=unseen,
        asked=new,
        truth=None if fresh.labels is None else fresh.labels[chosen],
    )


def newest(share: float, subject: Subject, *, samples: int) -> Compared:
    """Hold the newest rows of each split against its older ones."""
    old, new = _parted(subject.train, share)
    parts = [_parted(split, share) for split in (subject.held_out, subject.test)]
    unseen = _drawn(_joined(*(older for older, _ in parts)), samples, subject.seed)
    asked = _drawn(_joined(*(newer for _, newer in parts)), samples, subject.seed)
    old, new = _drawn(old, samples, subject.seed), _drawn(new, samples, subject.seed)
    _refuse_few(len(old), len(new), len(unseen), len(asked))
    return Compared(old.inputs, new.inputs, unseen, asked.inputs, asked.labels)


def _parted(split: Samples, share: float) -> tuple[Samples, Samples]:
    order = torch.argsort(split.rows, stable=True)
    first = len(split) - round(share * len(split))
    return split.take(order[:first]), split.take(order[first:])


def _joined(*splits: Samples) -> Samples:
    return Samples(
        torch.cat([split.inputs for split in splits]),
        torch.cat([split.labels for split in splits]),
        torch.cat([split.rows for split in splits]),
    )


def _drawn(rows: Samples, count: int, seed: int) -> Samples:
    return rows if len(rows) <= count else rows.take(_choice(len(rows), count, seed))


def _choice(rows: int, count: int, seed: int) -> Tensor:
    return torch.from_numpy(np.sort(np.random.default_rng(seed).permutation(rows)[:count]))


def _refuse_few(*sides: int) -> None:
    if min(sides) < LEAST:
        raise DataError(
            f"drift: one side of a comparison has {min(sides)} row(s), at least {LEAST} are needed;"
            " bring more new data, or raise newest"
        )
