"""From a table as it was read to the numbers a model takes, and the description of its columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from hardgate.datasets.raw import Encoded, Raw, Rows, first_rows
from hardgate.errors import DataError, ParamsError
from hardgate.records import Column, ColumnType, Record, TableInput

Matrix = NDArray[np.float32]
WHOLE = re.compile(r"^(-?\d+)\.0+$")
NOT_AMONG = "but the table has no such column; it has"


def as_label(value: object) -> str:
    """Spell a label or category as text: ``1``, ``1.0``, ``"1"`` and ``"1.0"`` are all ``"1"``.

    One column can hold several spellings: numbers become fractions beside a missing cell, and
    stay text in the part of a long file that holds a word.
    """
    return WHOLE.sub(r"\1", str(value))


Label = Annotated[str, BeforeValidator(as_label)]


class Roles(Record):
    """What each column of a table is for. Columns without a role are real-valued inputs."""

    target: str
    classes: tuple[Label, ...] | None = None  # in the model's order; the last of two is positive
    ignore: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    integer: tuple[str, ...] = ()
    immutable: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    pseudonymise: tuple[str, ...] = ()  # replaced by keyed pseudonyms as the table is read
    # What only ever grows or shrinks, such as an age: attacks move it no other way.
    monotone: dict[str, Literal["increasing", "decreasing"]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _do_not_clash(self) -> Self:
        _apart("target", [self.target], "ignore", self.ignore)
        _apart("target", [self.target], "pseudonymise", self.pseudonymise)
        _apart("integer", self.integer, "pseudonymise", self.pseudonymise)
        _apart("categorical", self.categorical, "integer", self.integer)
        _apart("categorical", self.categorical, "monotone", self.monotone)
        for role, names in self.named().items():
            _apart(role, names, "target and ignore", [self.target, *self.ignore])
        if self.classes is not None and len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes holds a label twice: {self.classes}")
        if self.classes is not None and len(self.classes) < 2:
            raise ValueError(f"classes holds {len(self.classes)} label; at least two are needed")
        return self

    def named(self) -> Mapping[str, Sequence[str]]:
        """List the roles that inputs have, and the columns named in each."""
        return {
            "categorical": self.categorical,
            "integer": self.integer,
            "immutable": self.immutable,
            "sensitive": self.sensitive,
            "monotone": tuple(self.monotone),
        }

    def inputs(self, columns: Iterable[str]) -> tuple[str, ...]:
        """Pick the inputs among a table's columns, in the table's order.

        Raises
        ------
        ParamsError
            If a role names a column that is not there, or nothing is left.
        """
        present = list(columns)
        listed = {"target": [self.target], "ignore": self.ignore, **self.named()}
        listed["pseudonymise"] = self.pseudonymise
        for role, names in listed.items():
            for name in names:
                if name not in present:
                    raise ParamsError(
                        f"dataset.{role} names {name!r}, {NOT_AMONG} {', '.join(present)}"
                    )
        chosen = tuple(n for n in present if n != self.target and n not in self.ignore)
        if not chosen:
            raise ParamsError("dataset: no input column is left beside target and ignore")
        return chosen


def _apart(role: str, names: Iterable[str], other: str, others: Iterable[str]) -> None:
    shared = sorted(set(names) & set(others))
    if shared:
        raise ValueError(f"{', '.join(shared)} cannot be in both {role} and {other}")


def encode(raw: Raw, train_rows: Rows, roles: Roles) -> Encoded:
    """Encode all rows; the columns' statistics and categories are those of the training rows alone.

    Raises
    ------
    DataError
        If a cell cannot be what its column says; names the column and the first rows.
    """
    source = str(raw.files[0].path)
    target = raw.frame[roles.target]
    classes = roles.classes or classes_of(target)
    labels = encode_labels(target, classes, source=source)
    inputs = np.empty((len(raw.frame), len(raw.inputs)), dtype=np.float32)
    columns = []
    for at, name in enumerate(raw.inputs):
        series = raw.frame[name]
        kind = _type_of(name, roles)
        categories: tuple[str, ...] = ()
        if kind is ColumnType.CATEGORICAL:
            categories = _in_order(pd.unique(series.iloc[train_rows].dropna()))
            if not categories:
                raise _nothing_in(name, source)
            series = known_alone(series, categories)
        inputs[:, at] = _column(series, kind, categories, source)
        columns.append(_describe(inputs[train_rows, at], name, kind, categories, roles, source))
    spec = TableInput(kind="table", columns=tuple(columns), classes=classes)
    return Encoded(inputs, labels, spec)


def encode_inputs(frame: pd.DataFrame, spec: TableInput, *, source: str) -> Matrix:
    """Encode new data as ``spec`` says; ``source`` is how messages call it.

    Raises
    ------
    DataError
        If a column is missing, a cell is not a number, or a category is unknown.
    """
    absent = [column.name for column in spec.columns if column.name not in frame]
    if absent:
        raise DataError(f"{source} lacks the column(s) {', '.join(map(repr, absent))}")
    inputs = np.empty((len(frame), len(spec.columns)), dtype=np.float32)
    for at, column in enumerate(spec.columns):
        inputs[:, at] = _column(frame[column.name], column.type, column.categories, source)
    return inputs


def encode_labels(
    target: pd.Series[Any], classes: Sequence[str], *, source: str
) -> NDArray[np.int64]:
    """Give each label its place in ``classes``; missing or unknown ones are refused."""
    codes = _categories(target, classes, source).astype(np.int64)
    if (codes < 0).any():
        raise DataError(
            f"{source}: column {target.name!r} (the target) has no value in "
            f"{first_rows(codes < 0)}; label or remove these rows"
        )
    if len(classes) < 2:
        raise DataError(
            f"{source}: column {target.name!r} (the target) holds one class only, "
            f"{classes[0]!r}; a classifier needs at least two"
        )
    return codes


def classes_of(target: pd.Series[Any]) -> tuple[str, ...]:
    """List the classes as text: by number when all are numbers, else by letter."""
    return _in_order(pd.unique(target.dropna()))


def known_alone(series: pd.Series[Any], trained: Sequence[str]) -> pd.Series[Any]:
    """Count a category that no training row has as missing.

    A list of all rows' categories would tell the model, and augmentation, what is in the test
    split; and what was never trained on is answered at random.
    """
    known = set(trained)
    strange = [value for value in pd.unique(series.dropna()) if as_label(value) not in known]
    return series.mask(series.isin(strange)) if strange else series


def _nothing_in(name: object, source: str) -> DataError:
    return DataError(
        f"{source}: column {name!r} has no value in the training split; list it under ignore"
    )


def _in_order(values: Iterable[Any]) -> tuple[str, ...]:
    """Spell and sort: by number when all are numbers, else by letter."""
    labels = {as_label(value) for value in values}
    try:
        return tuple(sorted(labels, key=float))
    except ValueError:
        return tuple(sorted(labels))


def _type_of(name: str, roles: Roles) -> ColumnType:
    if name in roles.categorical:
        return ColumnType.CATEGORICAL
    return ColumnType.INTEGER if name in roles.integer else ColumnType.REAL


def _column(
    series: pd.Series[Any], kind: ColumnType, categories: Sequence[str], source: str
) -> Matrix:
    if kind is ColumnType.CATEGORICAL:
        return _categories(series, categories, source)
    numbers = _numbers(series, source)
    if kind is ColumnType.INTEGER:
        broken = np.isfinite(numbers) & (numbers != np.rint(numbers))
        _refuse(broken, series, source, "is listed under integer but holds a fraction")
    return numbers


def _categories(series: pd.Series[Any], categories: Sequence[str], source: str) -> Matrix:
    codes, found = pd.factorize(series)
    places = {label: place for place, label in enumerate(categories)}
    known = [places.get(as_label(value), -2) for value in found]
    numbers = np.array([*known, -1], dtype=np.float32)[codes]  # the last is for missing, code -1
    _refuse(numbers == -2, series, source, f"is none of {_some(categories)}")
    return numbers


def _some(names: Sequence[str], limit: int = 20) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(map(repr, names[:limit])) + more


def _numbers(series: pd.Series[Any], source: str) -> Matrix:
    if series.dtype.kind in "mM":
        advice = "is a date or duration; turn it into a number, or list the column under ignore"
        _refuse(np.ones(len(series), dtype=np.bool_), series, source, advice)
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    if not pd.api.types.is_numeric_dtype(series.dtype):
        read = pd.to_numeric(series, errors="coerce")
        _refuse(
            (read.isna() & series.notna()).to_numpy(np.bool_),
            series,
            source,
            "is not a number; correct it, or list the column under categorical or ignore",
        )
        series = read
    with np.errstate(over="ignore"):
        numbers = series.to_numpy(np.float32, na_value=np.nan)
    advice = "is infinite or too large for float32; leave the cell empty if it is unknown"
    _refuse(np.isinf(numbers), series, source, advice)
    return numbers


def _refuse(bad: NDArray[np.bool_], series: pd.Series[Any], source: str, problem: str) -> None:
    if bad.any():
        value = series.iloc[int(np.flatnonzero(bad)[0])]
        raise DataError(
            f"{source}: column {series.name!r}: {str(value)!r} {problem} ({first_rows(bad)})"
        )


def _describe(
    train: Matrix,
    name: str,
    kind: ColumnType,
    categories: tuple[str, ...],
    roles: Roles,
    source: str,
) -> Column:
    """Take a column's statistics on the training rows."""
    known = train[~np.isnan(train)].astype(np.float64)
    if kind is ColumnType.CATEGORICAL:
        mean, scale, low, high = 0.0, 1.0, 0.0, len(categories) - 1.0
    elif len(known):
        mean, low, high = float(known.mean()), float(known.min()), float(known.max())
        scale = float(known.std()) if low < high else 1.0
    else:
        raise _nothing_in(name, source)
    return Column(
        name=name,
        type=kind,
        categories=categories,
        immutable=name in roles.immutable,
        monotone=roles.monotone.get(name),
        sensitive=name in roles.sensitive,
        mean=mean,
        scale=scale,
        low=low,
        high=high,
    )
