"""Expectation suites as files: what may stand in ``expectations/<model>.json``.

The keys are those of Great Expectations, read strictly: an unknown key, a number that is not
finite and an expectation without a reason are refused, because each of them could turn a contract
into one that is kept by anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from hardgate.errors import ParamsError
from hardgate.records import Record

FOLDER = Path("expectations")
WIDTH = 100  # characters of an argument list on one line

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Expected(Record):
    """One expectation: its type and arguments as Great Expectations names them, and its reason.

    ``severity`` and ``id`` are what Great Expectations itself writes; there is no mild severity,
    for a contract with optional clauses is none.
    """

    type: Text
    kwargs: dict[str, Any] = Field(default_factory=dict)
    notes: Text
    severity: Literal["critical"] = "critical"
    id: str | None = None
    meta: dict[str, Any] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it asks about; none for the table as a whole."""
        single = [
            self.kwargs[key] for key in ("column", "column_A", "column_B") if key in self.kwargs
        ]
        listed = [] if self.type.startswith("expect_table_") else self.kwargs.get("column_list", [])
        return tuple(str(name) for name in (*single, *listed))


class Suite(Record):
    """A data contract: the expectations of one table, or of one manifest of images."""

    name: Text
    expectations: tuple[Expected, ...] = Field(min_length=1)
    notes: str | None = None
    id: str | None = None
    meta: dict[str, Any] | None = None
    suite_parameters: dict[str, Any] = Field(default_factory=dict, max_length=0)


def read(path: Path) -> Suite:
    """Read a suite.

    Raises
    ------
    ParamsError
        If it is missing, no JSON, empty, named otherwise than its file, or holds an expectation
        that is malformed or has no reason; names the file and the expectation.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(document, allow_nan=False)
    except FileNotFoundError as error:
        raise ParamsError(
            f"{path} is missing; `hardgate suite {path.stem}` drafts one from the data"
        ) from error
    except ValueError as error:  # also what is not UTF-8, and numbers that are not finite
        raise ParamsError(f"{path} is not JSON with finite numbers: {error}") from error
    try:
        suite = Suite.model_validate(document)
    except ValidationError as error:
        lines = [f"{_place(item['loc'], document)}: {_problem(item)}" for item in error.errors()]
        raise ParamsError(f"{path}: {'; '.join(lines)}") from error
    if suite.name != path.stem:
        raise ParamsError(f"{path} is named {suite.name!r}, expected {path.stem!r} like its file")
    return suite


def spell(document: Mapping[str, Any]) -> str:
    """Write a suite for people: an argument list to the line, long ones an item to the line."""
    head = {key: value for key, value in document.items() if key != "expectations"}
    lines = [f"  {json.dumps(key)}: {_text(value)}," for key, value in head.items()]
    entries = []
    for expectation in document["expectations"]:
        pairs = []
        for key, value in expectation.items():
            text = _text(value)
            if len(text) > WIDTH and not isinstance(value, str):
                text = json.dumps(value, indent=2, ensure_ascii=False).replace("\n", "\n      ")
            pairs.append(f"      {json.dumps(key)}: {text}")
        entries.append("    {\n" + ",\n".join(pairs) + "\n    }")
    body = ['  "expectations": [', ",\n".join(entries), "  ]"]
    return "\n".join(["{", *lines, *body, "}"]) + "\n"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def label(position: int, kind: object, columns: Iterable[object]) -> str:
    """Call an expectation by its place in the file (from 1), its type and its columns."""
    names = ", ".join(map(str, columns))
    of = f" of {names}" if names else ""
    return f"expectation {position + 1} ({kind}{of})"


def _place(loc: tuple[int | str, ...], document: Any) -> str:
    """Turn the position of a problem into words."""
    if len(loc) < 2 or loc[0] != "expectations":
        return ".".join(map(str, loc)) or "the whole file"
    found = document["expectations"][loc[1]]
    entry = found if isinstance(found, dict) else {}
    kwargs = entry.get("kwargs")
    columns = [kwargs["column"]] if isinstance(kwargs, dict) and "column" in kwargs else []
    key = ".".join(map(str, loc[2:]))
    return f"{label(int(loc[1]), entry.get('type', 'no type'), columns)}{f': {key}' if key else ''}"


def _problem(item: Any) -> str:
    match item["type"], item["loc"][-1:]:
        case "missing", ("notes",):
            return "it needs a reason, in words"
        case "missing", _:
            return "it is missing"
        case "extra_forbidden", _:
            return "not a known key"
        case "too_short", ("expectations",):
            return "it is empty; a suite that expects nothing would accept anything"
        case "too_long", ("suite_parameters",):
            return "not supported; write the values where they are used"
        case _:
            return f"{item['msg']}, found {item['input']!r}"
