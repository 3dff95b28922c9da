"""What Great Expectations says of a table, as verdicts with reasons and row numbers.

Each expectation is judged alone, on the columns it names and no others: Great Expectations copies
the frame it is given for nearly every question, and so a table of millions of rows is never
copied whole. Whatever is not a plain yes is an objection: a no, an exception, and a question that
met no value at all.
"""

from __future__ import annotations

import difflib
import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hardgate import progress, telemetry
from hardgate.datasets.raw import Rows
from hardgate.errors import ContractError, ParamsError
from hardgate.records import Objection
from tasks import _data_docs, _objections, _suites
from tasks._drafts import draft
from tasks._objections import FIRST, Reply, refusal
from tasks._suites import Expected, Suite

__all__ = ["Verdicts", "draft", "judge", "refusal"]

RESULT_FORMAT = {
    "result_format": "SUMMARY",
    "partial_unexpected_count": FIRST,
    "return_unexpected_index_query": False,  # a text of all bad rows, megabytes of it
}
# How to judge is not for the file to say.
PLUMBING = {
    "batch_id",
    "catch_exceptions",
    "condition_parser",
    "id",
    "meta",
    "notes",
    "result_format",
    "severity",
    "windows",
}
# Arguments without which an expectation that has them objects to nothing, or to everything.
NEEDED = ("value_set", "type_list", "type_", "column_list", "column_set", "regex", "regex_list")


@dataclass(frozen=True)
class Verdicts:
    """How many expectations were judged, and what they object to."""

    suite: str
    expectations: int
    objections: tuple[Objection, ...]
    data_docs: Path  # the page


def judge(
    frame: pd.DataFrame,
    suite_path: Path,
    *,
    model: str,
    data_docs: Path,
    rows: Rows | None = None,
) -> Verdicts:
    """Judge every row of ``frame`` by a suite, and write the answers as a page.

    Parameters
    ----------
    frame
        One row per sample, in the order of the raw file; never changed. Integers are judged as
        int64 and real numbers as float64, however narrow they are stored.
    suite_path
        The suite, ``expectations/<name>.json``.
    model
        Whose data they are, for the page.
    data_docs
        The directory of the page, ``index.html``, which is replaced in one step.
    rows
        The number of each row in the raw file, where ``frame`` does not hold all of them.

    Raises
    ------
    ParamsError
        If the suite is malformed, empty, or holds an expectation that is unknown or cannot
        object; names the file and the expectation.
    ContractError
        If ``frame`` has no rows.
    """
    suite = _suites.read(suite_path)
    if frame.empty:
        raise ContractError(f"there are no rows to judge by {suite_path}; expected at least one")
    built = _build(suite, suite_path)
    numbered = frame.reset_index(drop=True)
    questions = _Questions(numbered)
    answers = tuple(
        _objections.answer(expected, questions.ask(expected, expectation), numbered, rows)
        for expected, expectation in progress.track(
            list(zip(suite.expectations, built, strict=True)), "expectations"
        )
    )
    page = _data_docs.write(data_docs, answers, model=model, suite=suite_path, shape=frame.shape)
    objections = tuple(answer.objection for answer in answers if answer.objection is not None)
    return Verdicts(suite.name, len(answers), objections, page)


def _great_expectations() -> Any:
    """Import Great Expectations, which takes seconds."""
    # It imports two modules by names that Python 3.11 gave up.
    warnings.filterwarnings(
        "ignore", r"module 'sre_(constants|parse)' is deprecated", DeprecationWarning
    )
    import great_expectations

    # It sets this level itself, to tell where its temporary folder is.
    chatty = "great_expectations.data_context.types.base"
    logging.getLogger(chatty).setLevel(logging.WARNING)
    return great_expectations


def _build(suite: Suite, path: Path) -> list[Any]:
    """Turn what the file says into Great Expectations' own objects."""
    return [
        _build_one(expected, f"{path}: {_suites.label(at, expected.type, expected.columns)}")
        for at, expected in enumerate(suite.expectations)
    ]


def _build_one(expected: Expected, place: str) -> Any:
    _great_expectations()
    from great_expectations.exceptions import ExpectationNotFoundError
    from great_expectations.expectations import registry

    try:
        kind = registry.get_expectation_impl(expected.type)
    except ExpectationNotFoundError as error:
        known = registry.list_registered_expectation_implementations()
        near = difflib.get_close_matches(expected.type, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ParamsError(f"{place}: there is no such expectation{hint}") from error
    if steering := sorted(PLUMBING & expected.kwargs.keys()):
        raise ParamsError(f"{place}: {steering[0]} is not an argument that a suite may set")
    if _is_code(expected.kwargs.get("row_condition")):
        raise ParamsError(
            f"{place}: row_condition is text, which pandas would run; write it as "
            '{"type": "comparison", "column": {"name": "AGE"}, "operator": ">", "parameter": 60}'
        )
    try:
        expectation = kind(**expected.kwargs)
    except (TypeError, ValueError) as error:  # pydantic's refusals are ValueErrors
        raise ParamsError(f"{place}: {_said(error)}") from error
    if emptiness := _emptiness(expectation):
        raise ParamsError(f"{place}: {emptiness}")
    return expectation


def _is_code(condition: Any) -> bool:
    """Find a condition in text anywhere in a condition; reading a file must never run code."""
    if not isinstance(condition, dict):
        return condition is not None
    parts = condition.get("conditions", [])
    return condition.get("type") == "pass_through" or any(_is_code(part) for part in parts)


def _emptiness(expectation: Any) -> str | None:
    """Say why an expectation asks nothing of the data, if it does not."""
    arguments = expectation.dict()
    if arguments.get("mostly") == 0:
        return "with mostly 0 it accepts anything; it must be above 0"
    bounds = {"min_value", "max_value", "threshold"} & arguments.keys()
    if bounds and all(arguments[name] is None for name in bounds):
        return f"it needs {' or '.join(sorted(bounds))}; without a bound it accepts anything"
    empty = [name for name in NEEDED if name in arguments and not arguments[name]]
    return f"{empty[0]} is empty" if empty else None


def _said(error: Exception) -> str:
    """Shorten pydantic's refusal to its keys and messages."""
    if not hasattr(error, "errors"):
        return str(error)
    said = {".".join(map(str, item["loc"])): item["msg"] for item in reversed(error.errors())}
    return "; ".join(
        message if key == "__root__" else f"{key}: {message}" for key, message in said.items()
    )


class _Questions:
    """Asks of one frame. The columns of a question are kept for the next, which often has the same.

    Great Expectations digests every frame it is shown, which for large tables takes longer than
    the questions themselves.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        """Open an in-memory context: no files, no progress bars, no network."""
        telemetry.silence()  # before the context, which reports that it was made
        context = _great_expectations().get_context(mode="ephemeral")
        context.enable_analytics(False)
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas("hardgate").add_dataframe_asset("frame")
        self._rows = asset.add_batch_definition_whole_dataframe("rows")
        self._frame = frame
        self._shown: tuple[str, ...] | None = None
        self._validator: Any = None

    def ask(self, expected: Expected, expectation: Any) -> Reply:
        """Ask one question; an exception is a reply too."""
        try:
            found = self._show(_needed(expected, self._frame)).validate_expectation(expectation)
            result = found.to_json_dict()["result"]
        except Exception as error:  # noqa: BLE001  whatever it was, the question has no yes
            return Reply(False, {}, f"{type(error).__name__}: {error}")
        return Reply(bool(found.success), result, _trouble(found))

    def _show(self, columns: tuple[str, ...]) -> Any:
        from great_expectations.validator.v1_validator import Validator

        if columns != self._shown:
            self._shown = self._validator = None  # let go before the next columns are copied
            self._validator = Validator(
                batch_definition=self._rows,
                batch_parameters={"dataframe": _part(self._frame, columns)},
                result_format=RESULT_FORMAT,
            )
            self._shown = columns
        return self._validator


def _trouble(found: Any) -> str | None:
    """Find the message of an exception in either of the two shapes a result may have."""
    info = found.exception_info or {}
    for item in (info, *info.values()):
        if isinstance(item, dict) and item.get("exception_message"):
            return str(item["exception_message"])
    return "it raised an exception" if info.get("raised_exception") else None


def _needed(expected: Expected, frame: pd.DataFrame) -> tuple[str, ...]:
    """List the columns that a question is about; none for the table as a whole."""
    if not expected.columns:
        return ()
    condition = json.dumps(expected.kwargs.get("row_condition"))
    names = map(str, frame.columns)
    return tuple(name for name in names if name in expected.columns or name in condition)


def _part(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """Cut out columns, in the types that expectations are written for; none means all, as is."""
    if not columns:
        return frame
    return pd.DataFrame({name: _widen(frame[name]) for name in columns}, index=frame.index)


def _widen(column: pd.Series[Any]) -> pd.Series[Any]:
    """Widen numbers: Great Expectations compares other types than these two cell by cell."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if pd.api.types.is_float_dtype(column.dtype):
        return pd.Series(column.to_numpy(np.float64, na_value=np.nan), copy=False)
    if pd.api.types.is_integer_dtype(column.dtype):
        if column.hasnans:
            return pd.Series(column.to_numpy(np.float64, na_value=np.nan), copy=False)
        fits = column.dtype != np.uint64 or column.max() <= np.iinfo(np.int64).max
        return pd.Series(column.to_numpy(np.int64), copy=False) if fits else column
    return column
