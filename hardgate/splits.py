"""Train, held-out and test split: seeded, stratified, and blind to identical rows.

Rows that are the same to the model (its inputs, numbers as float32) always land in the same
split; otherwise the model is tested on what it has seen. A row's place depends on its own content
and the seed, not on its position, so that a reordered or slightly grown file keeps nearly every
row where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from hardgate.datasets.raw import Raw, Rows, first_rows
from hardgate.errors import DataError, ParamsError
from hardgate.records import Record

SPLITS = ("train", "held_out", "test")
TRAIN, HELD_OUT, TEST = range(3)
AUDIT_COLUMNS = (
    "hardgate_split",
    "hardgate_duplicate",
    "hardgate_copy_across_splits",
    "hardgate_contradicts",
)

Share = Annotated[float, Field(gt=0, lt=1)]
Codes = NDArray[np.int8]
Hashes = NDArray[np.uint64]


class Shares(Record):
    """How many rows are tested on, and how many of the others are held out.

    ``test`` is left out for a source that brings its own test split. ``held_out`` is not used
    where the source brings that split too. ``quarantine`` names a file of rows that are in no
    split.
    """

    held_out: Share  # of what is not test
    test: Share | None = None
    quarantine: str | None = None  # read by hardgate/quarantine.py


@dataclass(frozen=True)
class Assignment:
    """Which split each row is in, and which rows are identical."""

    codes: Codes  # (n,), index into SPLITS
    groups: Rows  # (n,), equal for identical rows, numbered by first appearance

    def rows(self, split: str) -> Rows:
        """Rows of one split, in file order."""
        return np.flatnonzero(self.codes == SPLITS.index(split)).astype(np.int64)


def assign(raw: Raw, shares: Shares, *, seed: int) -> Assignment:
    """Put every row into a split.

    Raises
    ------
    ParamsError
        If ``shares.test`` is missing and needed, or set and not wanted.
    DataError
        If there is one class only, or a split or a class in it would be empty.
    """
    labels, classes = _labels(raw)
    identity = identify(raw.frame, raw.inputs)
    groups = pd.factorize(identity)[0].astype(np.int64)
    if raw.given_split is not None:
        codes = _given(raw.given_split, shares)
        if not (codes == HELD_OUT).any():
            train = np.flatnonzero(codes == TRAIN)
            quotas = {HELD_OUT: shares.held_out}
            members = pd.factorize(groups[train])[0].astype(np.int64)
            _refuse_rare(raw, train, members, labels[train], classes, splits=2)
            codes[train] = _allocate(identity[train], members, labels[train], quotas, seed=seed)
    else:
        if shares.test is None:
            raise ParamsError(
                "validation.test is missing: this source has no test split of its own"
            )
        quotas = {TEST: shares.test, HELD_OUT: shares.held_out * (1 - shares.test)}
        _refuse_rare(raw, np.arange(len(labels)), groups, labels, classes, splits=3)
        codes = _allocate(identity, groups, labels, quotas, seed=seed)
    _refuse_empty(codes, labels, classes)
    return Assignment(codes, groups)


def destined_for_test(raw: Raw, rows: Rows, shares: Shares, *, seed: int) -> int:
    """Count the rows that the test split would hold, if they were not left out of all splits.

    Where the seed decides, this follows from the row's own hash, give or take the last row of a
    class; so it holds for rows whose label is wrong or missing, too.
    """
    if raw.given_split is not None:
        return int((raw.given_split[rows] == "test").sum())
    hashes = _shuffled(identify(raw.frame.iloc[rows], raw.inputs), seed=seed)
    return int((hashes < (shares.test or 0) * 2.0**64).sum())


def audit(raw: Raw, assignment: Assignment) -> pd.DataFrame:
    """Four columns for the expectation suite, one row per raw row.

    ``hardgate_duplicate``: an earlier row is identical. ``hardgate_copy_across_splits``: an
    identical row is in another split. ``hardgate_contradicts``: an identical row has another label.
    """
    groups, codes = assignment.groups, assignment.codes
    first = _first_rows(groups)
    repeats = np.ones(len(groups), dtype=np.bool_)
    repeats[first] = False
    labels = pd.factorize(raw.frame[raw.target])[0]
    columns = {
        "hardgate_split": pd.Categorical.from_codes(codes, categories=pd.Index(SPLITS)),
        "hardgate_duplicate": repeats,
        "hardgate_copy_across_splits": _disagrees(codes, groups, first),
        "hardgate_contradicts": _disagrees(labels, groups, first),
    }
    return pd.DataFrame(columns, index=raw.frame.index, copy=False)


def identify(frame: pd.DataFrame, columns: tuple[str, ...]) -> Hashes:
    """Hash the rows, 64 bits each: equal where the model would see the same input."""
    identity = np.zeros(len(frame), dtype=np.uint64)
    for name in columns:
        identity *= np.uint64(0x9E3779B97F4A7C15)
        identity ^= _hash(frame[name])
        identity = _mix(identity)
    return identity


def _hash(column: pd.Series[Any]) -> Hashes:
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return np.asarray(pd.util.hash_pandas_object(column, index=False), dtype=np.uint64)
    with np.errstate(over="ignore"):
        numbers = column.to_numpy(np.float32, na_value=np.nan) + np.float32(0)  # no -0.0
    numbers[np.isnan(numbers)] = np.nan  # one spelling of missing
    return numbers.view(np.uint32).astype(np.uint64)


def _mix(hashes: Hashes) -> Hashes:
    """Scramble 64 bits one to one (the finaliser of SplitMix64, Steele et al., 2014)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = hashes ^ (hashes >> np.uint64(31))
    return mixed


def _shuffled(hashes: Hashes, *, seed: int) -> Hashes:
    """Give each hash a place of its own in an order drawn from the seed."""
    return _mix(hashes ^ _mix(np.array([seed % 2**64], dtype=np.uint64)))


def _first_rows(groups: Rows) -> Rows:
    """Find the first row of each group; groups are numbered by first appearance."""
    return np.flatnonzero(np.diff(np.maximum.accumulate(groups), prepend=-1)).astype(np.int64)


def _disagrees(values: NDArray[Any], groups: Rows, first: Rows) -> NDArray[np.bool_]:
    """Mark all rows of the groups whose members have different values."""
    mixed = np.zeros(len(first), dtype=np.bool_)
    mixed[groups[values != values[first][groups]]] = True
    return mixed[groups]


def _labels(raw: Raw) -> tuple[Rows, list[str]]:
    """Count off the labels as read; -1 is a missing one, which the suite will refuse."""
    codes, found = pd.factorize(raw.frame[raw.target])
    names = [str(label) for label in found]
    if len(names) < 2:
        raise DataError(
            f"{raw.files[0].path}: {raw.target!r} holds {len(names)} class(es) ({', '.join(names)})"
            " in all rows; a classifier needs at least two"
        )
    return codes.astype(np.int64), names


def _given(given: NDArray[np.str_], shares: Shares) -> Codes:
    if shares.test is not None:
        raise ParamsError(
            "validation.test is set, but this source brings its own test split; leave it out"
        )
    return np.array([SPLITS.index(name) for name in given.tolist()], dtype=np.int8)


def _allocate(
    identity: Hashes,
    groups: Rows,
    labels: Rows,
    quotas: Mapping[int, float],
    *,
    seed: int,
) -> Codes:
    """Fill the quotas class by class with whole groups, in an order drawn from the seed."""
    first = _first_rows(groups)
    strata, sizes = labels[first], np.bincount(groups, minlength=len(first))
    order = np.lexsort((_shuffled(identity[first], seed=seed), strata))
    codes = np.full(len(first), TRAIN, dtype=np.int8)
    for members in _runs(order, strata):
        codes[members] = _fill(sizes[members], quotas)
    return codes[groups]


def _refuse_rare(
    raw: Raw, rows: Rows, groups: Rows, labels: Rows, classes: list[str], *, splits: int
) -> None:
    """Refuse a class with fewer distinct rows than splits, as a label with a slip of the pen is."""
    firsts = labels[_first_rows(groups)]
    distinct = np.bincount(firsts[firsts >= 0], minlength=len(classes))
    rare = np.flatnonzero((distinct > 0) & (distinct < splits))
    if not len(rare):
        return
    scarcest = int(rare[0])
    bad = np.zeros(len(raw.frame), dtype=np.bool_)
    bad[rows[labels == scarcest]] = True
    raise DataError(
        f"{raw.files[0].path}: class {classes[scarcest]!r} of {raw.target!r} has "
        f"{distinct[scarcest]} distinct row(s) ({first_rows(bad)}), too few to have one in each of "
        f"{splits} splits; correct the label if it is a slip, else add rows or drop the class"
    )


def _runs(order: NDArray[Any], strata: Rows) -> list[NDArray[Any]]:
    """Cut ``order``, which is sorted by stratum, into one piece per stratum."""
    sorted_strata = strata[order]
    starts = np.flatnonzero(np.diff(sorted_strata, prepend=np.int64(-2)))
    return np.split(order, starts[1:])


def _fill(sizes: NDArray[Any], quotas: Mapping[int, float]) -> Codes:
    """Give each quota its share of the rows, and at least one group when there are enough."""
    middle = (np.cumsum(sizes) - sizes / 2) / sizes.sum()
    codes = np.full(len(sizes), TRAIN, dtype=np.int8)
    taken = 0.0
    for split, share in quotas.items():
        codes[(middle >= taken) & (middle < taken + share)] = split
        taken += share
    if len(sizes) > len(quotas):
        codes[-1] = TRAIN
        for at, split in enumerate(quotas):
            if not (codes[at:] == split).any():
                codes[at] = split
    return codes


def _refuse_empty(codes: Codes, labels: Rows, classes: list[str]) -> None:
    known = labels >= 0
    cells = np.bincount(
        codes[known].astype(np.int64) * len(classes) + labels[known],
        minlength=len(SPLITS) * len(classes),
    ).reshape(len(SPLITS), len(classes))
    for split, counts in zip(SPLITS, cells, strict=True):
        if counts.sum() == 0:
            raise DataError(f"the {split} split has no row of {len(codes)}; it needs some")
    for name, trained, tested in zip(classes, cells[TRAIN], cells[TEST], strict=True):
        if trained == 0 or tested == 0:
            where = "train" if trained == 0 else "test"
            raise DataError(f"the {where} split has no row of class {name!r}; it needs some")
