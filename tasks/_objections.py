"""From Great Expectations' replies to answers that name column, rows and values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hardgate.datasets.raw import Rows
from hardgate.records import Objection
from tasks._suites import Expected

FIRST = 10  # how many bad rows an objection names
LONGEST = 80  # characters of a cell that are shown
NUMBERS = {"int", "int64", "float", "float64"}


@dataclass(frozen=True)
class Reply:
    """What Great Expectations answered; ``trouble`` is the message of an exception inside it."""

    success: bool
    result: dict[str, Any]
    trouble: str | None = None


@dataclass(frozen=True)
class Answer:
    """One expectation, what was seen, and the objection if it was broken."""

    expected: Expected
    observed: str
    objection: Objection | None


def answer(
    expected: Expected, reply: Reply, frame: pd.DataFrame, numbers: Rows | None = None
) -> Answer:
    """Weigh one reply. Only a yes that at least one value was asked for is a yes.

    ``numbers`` says what to call each row of ``frame``; by its position when left out.
    """
    unasked = _unasked(reply.result)
    if reply.success and reply.trouble is None and not unasked:
        return Answer(expected, _observed(reply.result), None)
    objection = _objection(expected, reply, frame)
    if numbers is not None:
        called = tuple(numbers[list(objection.rows)].tolist())
        objection = objection.model_copy(update={"rows": called})
    if reply.trouble is not None:
        objection = _because(objection, f"it could not be judged: {_line(reply.trouble)}")
    elif unasked:
        objection = _because(objection, "no value was there to be judged")
    return Answer(expected, _observed(reply.result), objection)


def refusal(model: str, objections: Sequence[Objection]) -> str:
    """Put objections into a message: which expectation, which column, the first rows, and why."""
    lines = [f"  {_sentence(objection)}" for objection in objections[:FIRST]]
    if len(objections) > FIRST:
        lines.append(f"  and {len(objections) - FIRST} more, on the page of the data docs")
    count = "1 expectation" if len(objections) == 1 else f"{len(objections)} expectations"
    advice = f"correct the data at their source, or edit expectations/{model}.json"
    return "\n".join([f"the data of {model} break {count}; {advice} (rows from 0):", *lines])


def _sentence(objection: Objection) -> str:
    where = f" of {objection.column}" if objection.column else ""
    rows = ", ".join(map(str, objection.rows))
    more = (objection.count or 0) - len(objection.rows)
    rest = f" and {more} more" if objection.rows and more > 0 else ""
    at = f" in row{'s' if len(objection.rows) > 1 else ''} {rows}{rest}" if rows else ""
    seen = "; ".join(objection.values[:3])
    return f"{objection.expectation}{where}{at}: {seen or 'not kept'}. {objection.reason}"


def _objection(expected: Expected, reply: Reply, frame: pd.DataFrame) -> Objection:
    """Find the rows, or the columns, that a broken expectation is about."""
    if expected.type.startswith("expect_table_columns_"):
        return _of_columns(expected, list(frame.columns))
    count: int | None
    text = _text_among_numbers(expected, frame)
    if text is not None and text.any():
        count, rows = int(text.sum()), np.flatnonzero(text)[:FIRST].tolist()
    else:
        count = reply.result.get("unexpected_count")
        rows = list(reply.result.get("partial_unexpected_index_list") or [])
    shown = [_row(frame, row, expected.columns) for row in rows]
    return Objection(
        expectation=expected.type,
        column=", ".join(expected.columns) or None,
        count=count,
        rows=tuple(rows),
        values=tuple(shown) or _seen(reply.result),
        reason=expected.notes,
    )


def _of_columns(expected: Expected, present: list[str]) -> Objection:
    """Say which columns are missing, which are not expected, or where their order differs."""
    wanted = [str(n) for n in expected.kwargs.get("column_list") or expected.kwargs["column_set"]]
    missing = [name for name in wanted if name not in present]
    extra = [name for name in present if name not in wanted]
    moved = [] if missing or extra else _moved(wanted, present)
    said = [f"{name} is missing" for name in missing]
    said += [f"{name} is not expected" for name in extra]
    said += [f"{found} stands where {name} is expected" for name, found in moved]
    return Objection(
        expectation=expected.type,
        column=", ".join([*missing, *extra, *(name for name, _ in moved)]) or None,
        count=len(said),
        rows=(),
        values=tuple(said[:FIRST]),
        reason=expected.notes,
    )


def _moved(wanted: Iterable[str], present: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, found) for name, found in zip(wanted, present, strict=False) if name != found]


def _text_among_numbers(expected: Expected, frame: pd.DataFrame) -> NDArray[np.bool_] | None:
    """Mark the cells that keep a column from being numbers, where numbers are expected.

    One such cell makes the whole column text, and then Great Expectations can only say that.
    """
    name = expected.kwargs.get("column")
    if name not in frame or not _wants_numbers(expected):
        return None
    column = frame[name]
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return None
    bad = pd.to_numeric(column, errors="coerce").isna() & column.notna()
    return bad.to_numpy(np.bool_)


def _wants_numbers(expected: Expected) -> bool:
    kwargs = expected.kwargs
    types = {kwargs.get("type_"), *kwargs.get("type_list", [])}
    values = [kwargs.get("min_value"), kwargs.get("max_value"), *kwargs.get("value_set", [])]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return bool(types & NUMBERS or numbers)


def _row(frame: pd.DataFrame, row: int, columns: tuple[str, ...]) -> str:
    """Show the cells of a row as the file has them."""
    return ", ".join(_cell(frame[name].iloc[row]) for name in columns if name in frame)


def _cell(value: Any) -> str:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return "missing"
    return _line(str(value), LONGEST)


def _seen(result: dict[str, Any]) -> tuple[str, ...]:
    """Show what was seen of a whole column: a number, and the shares behind it."""
    if result.get("observed_value") is None and not result.get("details"):
        return ()
    shares = (result.get("details") or {}).get("observed_partition") or {}
    pairs = zip(shares.get("values", []), shares.get("weights", []), strict=False)
    return (_observed(result), *(f"{value}: {weight:.2%}" for value, weight in list(pairs)[:FIRST]))


def _observed(result: dict[str, Any]) -> str:
    """Put what was observed into a few words, for the page."""
    if "unexpected_count" in result:
        return f"{result['unexpected_count']} of {result['element_count']} unexpected"
    value = result.get("observed_value")
    if isinstance(value, list):
        return f"{len(value)} of them"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _unasked(result: dict[str, Any]) -> bool:
    """Tell a question that met no value: Great Expectations calls that a success."""
    if "element_count" not in result:
        return False
    return bool(result["element_count"] - (result.get("missing_count") or 0) <= 0)


def _because(objection: Objection, what: str) -> Objection:
    return objection.model_copy(update={"reason": f"{objection.reason} ({what})"})


def _line(text: str, longest: int = 200) -> str:
    """Keep the first line of a text, cut to a length."""
    first = text.strip().partition("\n")[0]
    return first if len(first) <= longest else first[: longest - 1] + "…"
