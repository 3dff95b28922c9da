"""Columns in which personal data stand: each kind against the different values of each column.

The cost does not follow the rows. A column is reduced to its different values; a screen that the
whole column passes through in milliseconds leaves those that could be of a kind; of these at most
so many, drawn at random, are shown to its recogniser.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
NOTHING_READ: Any = None  # what a language engine would have read of the text
LUCK = 0.001  # so seldom a column of random numbers passes a checksum so often


@dataclass(frozen=True)
class Hit:
    """A kind of personal data in a column, and the share of its different values."""

    column: str
    entity: str
    share: Measurement


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


def _in_column(
    series: pd.Series[Any], values: int, generator: np.random.Generator
) -> Iterator[Hit]:
    name = str(series.name)
    asked, texts = _texts(series, name)
    taken: set[str] = set()
    for kind in asked:
        progress.heed()
        if kind.entity in taken or not len(texts):
            continue
        share = _share(kind, name, texts, values, generator)
        if share is not None:
            taken.add(kind.entity)
            yield Hit(name, kind.entity, share)


def _texts(series: pd.Series[Any], name: str) -> tuple[list[Kind], pa.StringArray]:
    """Spell a column's different values, and pick the kinds that could be among them."""
    numeric = pd.api.types.is_numeric_dtype(series.dtype)
    asked = [kind for kind in kinds() if kind.in_numbers or not numeric]
    if pd.api.types.is_bool_dtype(series.dtype):
        return [], pa.array([], pa.string())
    if not numeric:
        return asked, pa.array([str(each) for each in series.dropna().unique()], pa.string())
    said = [kind for kind in asked if kind.said(name)]
    numbers = series.to_numpy(np.float64, na_value=np.nan)
    if np.nanmax(np.abs(numbers), initial=0) < LONG:
        asked = said
    whole = np.isnan(numbers) | (numbers == np.rint(numbers))
    if not asked or not whole.all():
        return [], pa.array([], pa.string())
    known = series.dropna().unique()
    return asked, pa.array([str(int(each)) for each in known if np.isfinite(each)], pa.string())


def _share(
    kind: Kind, name: str, texts: pa.StringArray, values: int, generator: np.random.Generator
) -> Measurement | None:
    """Measure the share of a column's different values that are of a kind; None when it is none."""
    said = kind.said(name)
    if not said and kind.alone is None and not kind.in_cells:
        return None
    screened = texts.filter(pc.match_substring_regex(texts, kind.screen))
    if not said and kind.alone is None:  # only cells that hold a word themselves can count
        screened = screened.filter(pc.match_substring_regex(screened, _one_of(kind.words)))
    if not len(screened):
        return None
    looked = min(values, len(screened))
    chosen = screened.take(pa.array(np.sort(generator.permutation(len(screened))[:looked])))
    verdicts = np.array([_judged(kind, text, said=said) for text in chosen.to_pylist()])
    sure, maybe = int((verdicts == SURE).sum()), int((verdicts == MAYBE).sum())
    if kind.chance is not None and not _beats(maybe, looked - sure, kind.chance):
        maybe = 0
    part = len(screened) / len(texts)  # of the column has passed the screen
    ways = ((sure, 1, kind.floor_said), (sure + maybe, kind.fewest, kind.floor))
    for counted, fewest, floor in ways:
        if counted >= fewest and statistics.wilson(counted, looked).lower * part >= floor:
            return _measured(counted, looked, part, whole=looked == len(screened), of=len(texts))
    return None


SURE, MAYBE, NOT = 2, 1, 0


def _judged(kind: Kind, text: str, *, said: bool) -> int:
    """Tell whether a value is of a kind: under a word, by itself, or not."""
    scores = [result.score for result in kind.recogniser.analyze(text, [kind.entity], NOTHING_READ)]
    best = max(scores, default=0.0)
    if best <= 0:
        return NOT
    if best >= kind.least and (said or (kind.in_cells and kind.said(text))):
        return SURE
    return MAYBE if kind.alone is not None and best >= kind.alone else NOT


def _beats(passed: int, tried: int, chance: float) -> bool:
    """Tell whether so many of so many pass a checksum that random numbers would not."""
    return passed > 0 and float(bdtrc(passed - 1, tried, chance)) <= LUCK


def _measured(counted: int, looked: int, part: float, *, whole: bool, of: int) -> Measurement:
    """Give the share of the column; exact when all that passed the screen were looked at."""
    if whole:
        return statistics.exact(counted / of, of)
    share = statistics.wilson(counted, looked)
    return Measurement(
        value=share.value * part,
        lower=share.lower * part,
        upper=share.upper * part,
        samples=looked,
        interval="wilson",
    )


def _one_of(words: frozenset[str]) -> str:
    return rf"(?i)\b(?:{'|'.join(sorted(words))})"
