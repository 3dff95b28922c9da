"""Draft a suite from data, for a person to edit.

A draft says what the data are, not what they should be. It is a first version whose bounds and
reasons somebody who knows the data corrects: that person is the contract, the draft saves typing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import ceil, floor, log10
from typing import Any

import pandas as pd

from hardgate.splits import AUDIT_COLUMNS, SPLITS

MARGIN = 0.1  # how far beyond the values seen a range reaches, relative to their span
SLACK = 1.5  # how much more often than seen a blemish may occur
MANY = 200  # more categories than this are not listed
BALANCE = 0.1  # threshold of the divergence between the classes' shares, in nats

Entry = dict[str, Any]


def draft(
    frame: pd.DataFrame,
    *,
    name: str,
    target: str,
    categorical: Collection[str] = (),
    ignore: Collection[str] = (),
) -> Entry:
    """Draft the suite of ``frame``, ready to be written as JSON.

    Parameters
    ----------
    frame
        The raw table or the manifest of images, with the audit columns of ``hardgate.splits``.
    name
        The suite's name, which is the model's.
    target, categorical, ignore
        The columns' roles. Only an ignored column, or a digest, is taken for an identifier.
    """
    audits = [column for column in AUDIT_COLUMNS if column in frame]
    entries = [*_table(frame)]
    for column in frame.columns.drop(audits):
        entries += _column(
            frame[column],
            is_set=column in {target, *categorical},
            may_identify=column in ignore or column == "sha256",
        )
    entries += _balance(frame[target])
    for column in audits:
        entries += _audit(frame[column])
    return {
        "name": name,
        "notes": "Drafted from the data. Check every bound and give every expectation its reason.",
        "expectations": entries,
    }


def _expect(what: str, notes: str, **kwargs: Any) -> Entry:
    return {"type": f"expect_{what}", "kwargs": kwargs, "notes": notes}


def _table(frame: pd.DataFrame) -> Iterator[Entry]:
    yield _expect(
        "table_columns_to_match_ordered_list",
        "Another column, or another order, is another file.",
        column_list=[str(column) for column in frame.columns],
    )
    yield _expect(
        "table_row_count_to_be_between",
        f"{len(frame)} rows were seen; half as many means that rows were lost.",
        min_value=ceil(len(frame) / 2),
    )


def _column(column: pd.Series[Any], *, is_set: bool, may_identify: bool) -> Iterator[Entry]:
    """Expect a column's type, its missing values, and its values."""
    name = str(column.name)
    yield _type(column)
    missing = float(column.isna().mean())
    if missing < 1:
        yield _filled(name, missing)
    values = column.dropna()
    if may_identify and missing == 0 and values.is_unique:
        yield _expect(
            "column_values_to_be_unique", "It identifies a row; twice is a copy.", column=name
        )
    elif is_set or _is_text(column) or (len(values) and (values == values.iloc[0]).all()):
        yield from _members(values)
    elif name.startswith("pixel_"):
        notes = "Every radius assumes pixels in [0, 1]."
        yield _expect("column_values_to_be_between", notes, column=name, min_value=0, max_value=1)
    elif len(values):
        yield _range(values)


def _type(column: pd.Series[Any]) -> Entry:
    """Name the type at its widest, as the judge sees it."""
    name = str(column.name)
    if pd.api.types.is_bool_dtype(column.dtype):
        return _of_type(name, "bool", "It is a yes or no.")
    if _is_text(column):
        return _of_type(name, "str", "It is text.")
    if pd.api.types.is_integer_dtype(column.dtype) and not column.hasnans:
        return _of_type(name, "int64", "It counts or encodes; a fraction or text is a mistake.")
    return _expect(
        "column_values_to_be_in_type_list",
        "It is a number; whole numbers alone are read as integers.",
        column=name,
        type_list=["float64", "int64"],
    )


def _of_type(name: str, kind: str, notes: str) -> Entry:
    return _expect("column_values_to_be_of_type", notes, column=name, type_=kind)


def _is_text(column: pd.Series[Any]) -> bool:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return not pd.api.types.is_numeric_dtype(column.cat.categories.dtype)
    return not pd.api.types.is_numeric_dtype(column.dtype)  # bool counts as numeric


def _filled(name: str, missing: float) -> Entry:
    if missing == 0:
        return _expect("column_values_to_not_be_null", "No value was missing.", column=name)
    return _expect(
        "column_values_to_not_be_null",
        f"{missing:.2%} were missing.",
        column=name,
        mostly=_at_least(missing),
    )


def _members(values: pd.Series[Any]) -> Iterator[Entry]:
    seen = sorted(values.unique().tolist(), key=lambda value: (str(type(value)), value))
    if 0 < len(seen) <= MANY:
        yield _expect(
            "column_values_to_be_in_set",
            "These are the categories seen; another one is unknown to the model.",
            column=str(values.name),
            value_set=seen,
        )


def _range(values: pd.Series[Any]) -> Entry:
    """Bound by the values seen and a margin; what was never negative stays so."""
    low, high = float(values.min()), float(values.max())
    span = high - low
    bottom = 0.0 if low >= 0 and low - MARGIN * span < 0 else low - MARGIN * span
    whole = pd.api.types.is_integer_dtype(values.dtype)
    return _expect(
        "column_values_to_be_between",
        f"{low:g} to {high:g} were seen; the bounds leave a margin of {MARGIN:.0%} of that span.",
        column=str(values.name),
        min_value=floor(bottom) if whole else _round(bottom, span, floor),
        max_value=ceil(high + MARGIN * span) if whole else _round(high + MARGIN * span, span, ceil),
    )


def _round(value: float, span: float, outwards: Any) -> float:
    """Round outwards to a thousandth of the span, so that a person can read it."""
    digits = 3 - floor(log10(span)) if span > 0 else 6
    return round(float(outwards(value * 10.0**digits) / 10.0**digits), max(digits, 0))


def _balance(target: pd.Series[Any]) -> Iterator[Entry]:
    """Bound how far the classes' shares may move from those seen."""
    shares = target.value_counts(normalize=True).sort_index()
    if 0 < len(shares) <= MANY:
        yield _expect(
            "column_kl_divergence_to_be_less_than",
            "The classes' shares; far from them, bounds and thresholds mean something else.",
            column=str(target.name),
            partition_object={
                "values": shares.index.tolist(),
                "weights": [round(float(share), 9) for share in shares],
            },
            threshold=BALANCE,
        )


def _audit(column: pd.Series[Any]) -> Iterator[Entry]:
    """Bound what the splitter found out about the rows."""
    name = str(column.name)
    if name == "hardgate_split":
        notes = "Every row is in one of the three splits."
        yield _expect("column_values_to_be_in_set", notes, column=name, value_set=list(SPLITS))
        return
    seen = float(column.mean())
    blemish, least = {
        "hardgate_duplicate": ("repeat an earlier row", _at_least(seen)),
        "hardgate_copy_across_splits": ("have a copy in another split: a test on known rows", 1),
        "hardgate_contradicts": ("have a twin with another label: label noise", _at_least(seen)),
    }[name]
    yield _expect(
        "column_values_to_be_in_set",
        f"{f'{seen:.3%} of' if seen else 'None of'} the rows {blemish}.",
        column=name,
        value_set=[False],
        **({"mostly": least} if least < 1 else {}),
    )


def _at_least(seen: float) -> float:
    """Allow a blemish somewhat more often than it was seen."""
    return max(floor((1 - SLACK * seen) * 10_000) / 10_000, 0.0001) if seen > 0 else 1
