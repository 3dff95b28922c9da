"""Columns in which personal data stand: each kind against the different values of each column.

The cost does not follow the rows. A column is reduced to its different values. Kinds that show in
their share of a column are looked for in some values, drawn at random. Kinds of which one cell is
enough, and cells that name what they hold, are looked for in all values (a million at most): a
pattern that takes microseconds leaves those that could be of the kind, and of these again some are
shown to its recogniser.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import bdtrc

from hardgate import progress, statistics
from hardgate.records import Measurement
from hardgate.risks.personal_data.recognisers import Kind, kinds

LONG = 10**7  # a whole number of eight digits: the shortest account
MOST = 10**6  # different values of a column that patterns go through
LUCK = 0.001  # so seldom a column of random numbers passes a checksum so often
NOTHING_READ: Any = None  # what a language engine would have read of the text
SURE, MAYBE, NOT = 2, 1, 0


@dataclass(frozen=True)
class Hit:
    """A kind of personal data in a column, and the share of its different values."""

    column: str
    entity: str
    share: Measurement


@dataclass(frozen=True)
class Values:
    """A column's name and different values: ``some`` of them, ``many``, and how many there are."""

    name: str
    some: pa.StringArray
    many: pa.StringArray
    count: int

    @cached_property
    def speaking(self) -> pa.StringArray:
        """Those of the many that hold a word of a kind."""
        words = sorted({word for kind in kinds() if kind.in_cells for word in kind.words})
        return _fitting(self.many, rf"(?i)\b(?:{'|'.join(words)})")


def scan(frame: pd.DataFrame, *, values: int, seed: int) -> tuple[Hit, ...]:
    """Look for every kind in every column.

    Parameters
    ----------
    values
        How many values of a column, at most, are shown to each recogniser.
    """
    found: list[Hit] = []
    for column in progress.track(list(frame.columns), "personal data"):
        found += _in_column(frame[column], values, np.random.default_rng(seed))
    return tuple(found)


def _in_column(series: pd.Series[Any], most: int, generator: np.random.Generator) -> Iterator[Hit]:
    asked = _asked(series)
    if not asked:
        return
    values = _values(series, most, generator)
    taken: set[str] = set()
    for kind in asked:
        progress.heed()
        share = None if kind.entity in taken else _share(kind, values, most)
        if share is not None:
            taken.add(kind.entity)
            yield Hit(values.name, kind.entity, share)


def _asked(series: pd.Series[Any]) -> list[Kind]:
    """Pick the kinds that could stand in a column of this type."""
    if not pd.api.types.is_numeric_dtype(series.dtype):
        return list(kinds())
    if pd.api.types.is_bool_dtype(series.dtype):
        return []
    numbers = series.to_numpy(np.float64, na_value=np.nan)
    if not (np.isnan(numbers) | (numbers == np.rint(numbers))).all():
        return []
    long = np.nanmax(np.abs(numbers), initial=0) >= LONG
    return [kind for kind in kinds() if kind.in_numbers and (long or kind.said(str(series.name)))]


def _values(series: pd.Series[Any], most: int, generator: np.random.Generator) -> Values:
    """Draw from a column's different values, and spell them as text."""
    known = np.asarray(series.dropna().unique(), dtype=object)
    drawn = known[generator.permutation(len(known))[:MOST]]
    if pd.api.types.is_numeric_dtype(series.dtype):
        spelled = [str(int(each)) for each in drawn[:most] if np.isfinite(each)]
    else:
        spelled = [str(each) for each in drawn]
    many = pa.array(spelled, pa.string())
    return Values(str(series.name), many[:most], many, len(known))


def _share(kind: Kind, values: Values, most: int) -> Measurement | None:
    """Measure the share of a column's different values that are of a kind; None when it is none."""
    said = kind.said(values.name)
    found = None
    if said or kind.alone is not None:
        among = values.many if kind.counts_alone and not said else values.some
        found = _among(kind, _fitting(among, kind.screen), values, most, of=len(among), said=said)
    if found is None and kind.in_cells and not said and len(values.speaking):
        speaking = _fitting(values.speaking, kind.screen)
        found = _among(kind, speaking, values, most, of=len(values.many), spoken=True)
    return found


def _among(
    kind: Kind,
    screened: pa.StringArray,
    values: Values,
    most: int,
    *,
    of: int,
    said: bool = False,
    spoken: bool = False,
) -> Measurement | None:
    """Judge values that have passed the screen, out of ``of`` that it saw."""
    looked = min(most, len(screened))  # they come in a random order
    if looked == 0:
        return None
    verdicts = np.array([_judged(kind, text, said=said) for text in screened[:looked].to_pylist()])
    sure, maybe = int((verdicts == SURE).sum()), int((verdicts == MAYBE).sum())
    if spoken or (kind.chance is not None and not _beats(maybe, looked - sure, kind.chance)):
        maybe = 0
    part = len(screened) / of
    ways = ((sure, 1, kind.floor_said), (sure + maybe, kind.fewest, kind.floor))
    for counted, fewest, floor in ways:
        if counted >= fewest and statistics.wilson(counted, looked).lower * part >= floor:
            return _measured(counted, looked, len(screened), of=of, count=values.count)
    return None


def _judged(kind: Kind, text: str, *, said: bool) -> int:
    """Tell whether a value is of a kind: under a word, by itself, or not."""
    scores = [result.score for result in kind.recogniser.analyze(text, [kind.entity], NOTHING_READ)]
    best = max(scores, default=0.0)
    if best >= kind.least and (said or (kind.in_cells and kind.said(text))):
        return SURE
    return MAYBE if kind.alone is not None and best >= kind.alone else NOT


def _beats(passed: int, tried: int, chance: float) -> bool:
    """Tell whether so many of so many pass a checksum that random numbers would not."""
    return passed > 0 and float(bdtrc(passed - 1, tried, chance)) <= LUCK


def _measured(counted: int, looked: int, screened: int, *, of: int, count: int) -> Measurement:
    """Give the share of the column; exact when no value was left out of any draw."""
    if looked == screened:
        return statistics.exact(counted / of, of) if of == count else statistics.wilson(counted, of)
    share, part = statistics.wilson(counted, looked), screened / of
    return Measurement(
        value=share.value * part,
        lower=share.lower * part,
        upper=share.upper * part,
        samples=looked,
        interval="wilson",
    )


def _fitting(texts: pa.StringArray, pattern: str) -> pa.StringArray:
    return texts.filter(pc.match_substring_regex(texts, pattern))
