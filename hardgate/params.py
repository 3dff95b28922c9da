"""``params.yaml``: the whole truth about a run, read once and at the edge.

A model is one top-level section, named in ``models``. Overrides (``credit.threat.eps=0.1``) are
written into the file, as ``dvc exp run -S`` does, so that the file stays the whole truth.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import NonNegativeInt, PositiveInt, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hardgate import provenance, records
from hardgate.attribution import Explaining
from hardgate.augmentations import Augmenting
from hardgate.datasets import Dataset
from hardgate.errors import ParamsError
from hardgate.gates import Policy
from hardgate.probes import Evaluation
from hardgate.records import Record
from hardgate.splits import Shares
from hardgate.threat import Threat
from hardgate.training import Training

FILE = Path("params.yaml")
STAGES = ("validation", "augmentation", "training", "explanation", "evaluation", "promotion")

# The sections each stage reads besides its own; dvc.yaml names the same, and a test compares.
SHARED = {
    "validation": ("seed", "dataset"),
    "augmentation": ("seed", "threat"),
    "training": ("seed", "threat"),
    "explanation": ("seed", "threat"),
    "evaluation": ("seed", "threat", "training"),  # the undefended twin is trained likewise
    "promotion": ("seed", "threat"),
}


class Promotion(Record):
    """The policy, and how long its verdict holds."""

    valid_days: PositiveInt
    gates: Policy


class Params(Record):
    """One model's section, whole."""

    model: str
    seed: NonNegativeInt
    dataset: Dataset
    threat: Threat
    validation: Shares
    augmentation: Augmenting
    training: Training
    explanation: Explaining
    evaluation: Evaluation
    promotion: Promotion

    def digest(self, stage: str) -> str:
        """Digest what ``stage`` depends on: its own section and the shared ones."""
        plain = records.to_plain(self)
        return provenance.sha256_json({key: plain[key] for key in (*SHARED[stage], stage)})


def models(path: Path = FILE) -> tuple[str, ...]:
    """List the models of the project."""
    return tuple(_names(_load(path), path))


def load(model: str, path: Path = FILE) -> Params:
    """Read one model's section.

    Raises
    ------
    ParamsError
        If the file, the model or a key is missing, misspelt or out of range; names the key.
    """
    document = _load(path)
    _check_name(model, _names(document, path), path)
    return _validated(model, document[model], path)


def override(model: str, assignments: Sequence[str], path: Path = FILE) -> Params:
    """Write ``SECTION.KEY=VALUE`` assignments into the file, comments kept, and read it back.

    Nothing is written unless the whole section is still valid.
    """
    document = _load(path)
    _check_name(model, _names(document, path), path)
    for assignment in assignments:
        _assign(document, assignment, path)
    params = _validated(model, document[model], path)
    if assignments:
        stream = io.StringIO()
        _yaml().dump(document, stream)
        records.write_text(path, stream.getvalue())
    return params


@contextmanager
def overridden(model: str, assignments: Sequence[str], path: Path = FILE) -> Iterator[Params]:
    """Override for the length of the block, then put the file back as it was."""
    before = path.read_bytes() if assignments else b""
    try:
        yield override(model, assignments, path)
    finally:
        if assignments:
            records.write_bytes(path, before)


def _yaml() -> YAML:
    yaml = YAML()  # the round-trip loader: builds plain values only, never objects
    yaml.preserve_quotes = True
    yaml.width = 100
    return yaml


def _load(path: Path) -> Any:
    try:
        document = _yaml().load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(f"{path} is missing; run hardgate inside a project") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path} is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise ParamsError(f"{path} must map model names to sections")
    return document


def _names(document: Any, path: Path) -> list[str]:
    names = document.get("models")
    if not isinstance(names, list) or not names:
        raise ParamsError(f"{path}: models: must list the model sections, such as [credit, mnist]")
    return [str(name) for name in names]


def _check_name(model: str, names: Sequence[str], path: Path) -> None:
    if model not in names:
        raise ParamsError(f"{path} has no model {model!r}; it has {', '.join(names)}")


def _validated(model: str, section: Any, path: Path) -> Params:
    if not isinstance(section, dict):
        raise ParamsError(f"{path}: {model}: must be a section of keys")
    plain = _plain(section)
    try:
        return Params.model_validate({"model": model, **plain})
    except ValidationError as error:
        lines = [_explain(model, item, plain) for item in error.errors()]
        raise ParamsError(f"{path}: " + "; ".join(lines)) from error


def _plain(value: Any) -> Any:
    """Turn ruamel's nodes into Python's own types."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _explain(model: str, item: Any, section: Any) -> str:
    """Say which key, what was found and, for a misspelt key, what was probably meant."""
    place = [part for part in item["loc"] if _leads_on(section, part) or part == item["loc"][-1]]
    key = ".".join([model, *(str(part) for part in place)])
    found = item["input"]
    if item["type"] == "extra_forbidden":
        return f"{key} is not a known key{_guess(item, model)}"
    if item["type"] == "missing":
        return f"{key} is missing"
    return f"{key} = {found!r}: {item['msg'].removeprefix('Value error, ')}"


def _leads_on(section: Any, part: str | int) -> bool:
    """Tell a real key from the tag that pydantic adds for a union's member."""
    if isinstance(section, dict):
        return part in section or any(_leads_on(value, part) for value in section.values())
    if isinstance(section, list):
        return isinstance(part, int) or any(_leads_on(value, part) for value in section)
    return False


def _guess(item: Any, model: str) -> str:
    """Offer the nearest key of the schema."""
    known: set[str] = set()
    _collect(Params.model_json_schema(), known)
    near = difflib.get_close_matches(str(item["loc"][-1]), sorted(known - {model}), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _collect(schema: Any, known: set[str]) -> None:
    if isinstance(schema, dict):
        known.update(schema.get("properties", {}))
        for value in schema.values():
            _collect(value, known)
    elif isinstance(schema, list):
        for value in schema:
            _collect(value, known)


def _assign(document: Any, assignment: str, path: Path) -> None:
    """Set one dotted key; only the last part of the key may be new."""
    key, equals, text = assignment.partition("=")
    if not equals or not key:
        raise ParamsError(f"{assignment!r} is not an override such as credit.threat.eps=0.1")
    *parents, last = key.split(".")
    place = document
    for parent in parents:
        place = _step(place, parent, key, path)
    try:
        value = _yaml().load(text)
    except YAMLError as error:
        raise ParamsError(f"{key}: {text!r} is not a YAML value") from error
    if isinstance(place, list):
        place[_index(place, last, key, path)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise ParamsError(f"{path}: {key}: {'.'.join(parents)} is a value, not a section")


def _step(place: Any, part: str, key: str, path: Path) -> Any:
    if isinstance(place, list):
        return place[_index(place, part, key, path)]
    if isinstance(place, dict) and part in place:
        return place[part]
    known: Iterable[str] = [str(name) for name in place] if isinstance(place, dict) else []
    near = difflib.get_close_matches(part, list(known), n=1)
    raise ParamsError(
        f"{path} has no key {key}" + (f"; did you mean {near[0]} for {part}?" if near else "")
    )


def _index(place: list[Any], part: str, key: str, path: Path) -> int:
    if not part.isdigit() or int(part) >= len(place):
        raise ParamsError(f"{path}: {key}: {part} is not a position from 0 to {len(place) - 1}")
    return int(part)
