"""The text of ``params.yaml``: read as plain values, and changed at one place at a time.

A changed value is put where the old one stood; every other sign of the file stays, comments and
line breaks too. Nothing heavy is imported, so that a misspelt model is answered at once.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, SequenceNode

from hardgate.errors import ParamsError

FILE = Path("params.yaml")
EXAMPLE = "credit.threat.eps=0.1"
_ABSENT = object()


def text_of(path: Path = FILE) -> str:
    """Read the file."""
    try:
        return path.read_bytes().decode("utf-8")  # line ends stay what they are
    except FileNotFoundError as error:
        raise ParamsError(f"{path} is missing; run hardgate inside a project") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path} cannot be read as UTF-8 text: {error}") from error


def parse(text: str, path: Path = FILE) -> dict[str, Any]:
    """Turn the text into plain values.

    Raises
    ------
    ParamsError
        If it is not one YAML mapping; names the line.
    """
    try:
        document = _plain(_yaml().load(text))
    except MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        line = f", line {at.line + 1}" if at else ""
        raise ParamsError(f"{path}{line} is not YAML: {error.problem or error.context}") from error
    except YAMLError as error:
        raise ParamsError(f"{path} is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise ParamsError(f"{path} must map model names to sections")
    return document


def names(document: dict[str, Any], path: Path = FILE) -> tuple[str, ...]:
    """List the models."""
    listed = document.get("models")
    if not isinstance(listed, list) or not listed:
        raise ParamsError(f"{path}: models: must list the model sections, such as [credit, mnist]")
    return tuple(str(name) for name in listed)


def section(document: dict[str, Any], model: str, path: Path = FILE) -> dict[str, Any]:
    """Pick a model's section.

    Raises
    ------
    ParamsError
        If there is no such model; offers the nearest.
    """
    listed = names(document, path)
    if model not in listed:
        raise ParamsError(
            f"{path} has no model {model!r}{meant(model, listed)}; it has {', '.join(listed)}"
        )
    if model not in document:
        found = [name for name in document if name != "models"]
        raise ParamsError(
            f"{path}: models lists {model}, but there is no section {model}{meant(model, found)}"
        )
    if not isinstance(document[model], dict):
        raise ParamsError(f"{path}: {model} = {document[model]!r}: must be a section of keys")
    chosen: dict[str, Any] = document[model]
    return chosen


def check_model(model: str, path: Path = FILE) -> None:
    """Refuse a model that the file does not have."""
    section(parse(text_of(path), path), model, path)


def assign(text: str, model: str, assignment: str, path: Path = FILE) -> str:
    """Put ``MODEL.SECTION.KEY=VALUE`` into the text; only the last part of the key may be new.

    Raises
    ------
    ParamsError
        If the key leads nowhere or into another model, or the value is not YAML.
    """
    key, equals, written = assignment.partition("=")
    parts = key.split(".")
    if not equals or not all(parts):
        raise ParamsError(f"{assignment!r} is not an override such as {EXAMPLE}")
    if parts[0] != model or len(parts) == 1:
        meant = f"; did you mean {model}.{key}?" if parts[0] in parse(text, path)[model] else ""
        if parts[0] in parse(text, path):
            meant = f"; a run of {model} takes no override of another model"
        raise ParamsError(f"{path}: {key} is no key of {model}{meant}")
    try:
        value = _plain(_yaml().load(written))
    except YAMLError as error:
        raise ParamsError(f"{key}: {written!r} is not a YAML value") from error
    wanted = parse(text, path)
    place = _step_down(wanted, parts[:-1], key, path)
    place[_position(place, parts[-1], key, path)] = value
    for spelled in (written.strip() or "null", json.dumps(value, default=str)):
        changed = _put(text, parts, spelled)
        if _is(changed, wanted):
            return changed
    raise ParamsError(f"{key} cannot be changed from the command line; change it in {path}")


def undo(
    text: str, assignments: Sequence[str], *, before: str, after: str, path: Path = FILE
) -> str:
    """Take assignments back in a text that was changed since; a third value stays.

    Parameters
    ----------
    before, after
        The text without and with the assignments.

    Raises
    ------
    ParamsError
        If the text is no longer YAML, or a value cannot be put back; names it.
    """
    keys = {assignment.partition("=")[0] for assignment in assignments}
    for key in sorted(keys, key=len):  # a section first, then what is in it
        parts = key.split(".")
        now, was, became = (_look_up(parse(t, path), parts) for t in (text, before, after))
        if now == became != was:
            text = _put_back(text, parts, was, _spelled(before, parts), path)
    return text


def _put_back(text: str, parts: Sequence[str], was: Any, spelled: str, path: Path) -> str:
    key, wanted = ".".join(parts), parse(text, path)
    place = _step_down(wanted, parts[:-1], key, path)
    position = _position(place, parts[-1], key, path)
    if was is _ABSENT:
        del place[position]
        tries = [_cut(text, parts)]
    else:
        place[position] = was
        tries = [_put(text, parts, words) for words in (spelled, json.dumps(was, default=str))]
    for changed in tries:
        if _is(changed, wanted):
            return changed
    raise ParamsError(f"{path}: the override of {key} cannot be taken back; do it by hand")


def _look_up(place: Any, parts: Sequence[str]) -> Any:
    """Give the value that ``parts`` lead to, if they lead anywhere."""
    for part in parts:
        try:
            place = place[int(part)] if isinstance(place, list) else place[part]
        except (KeyError, IndexError, TypeError, ValueError):
            return _ABSENT
    return place


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)  # builds plain values only, never objects


def _plain(value: Any) -> Any:
    """Copy, with keys as text, and nothing shared between places."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _step_down(place: Any, parts: Sequence[str], key: str, path: Path) -> Any:
    for part in parts:
        position = _position(place, part, key, path)
        if isinstance(place, dict) and position not in place:
            raise ParamsError(f"{path} has no key {key}: no {part}{meant(part, place)}")
        place = place[position]
    return place


def _position(place: Any, part: str, key: str, path: Path) -> Any:
    """Read a part of a key as a position in a list, or as the name it is."""
    if isinstance(place, list):
        if not part.isdecimal() or int(part) >= len(place):
            raise ParamsError(f"{path}: {key}: {part} is not a position from 0 to {len(place) - 1}")
        return int(part)
    if not isinstance(place, dict):
        raise ParamsError(f"{path}: {key}: what should hold {part} is the value {place!r}")
    return part


def meant(word: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Offer what was probably meant, to be put behind a message; empty when nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {prefix}{near[0]}?" if near else ""


def _is(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return bool(_plain(_yaml().load(text)) == wanted)
    except YAMLError:
        return False


def _put(text: str, parts: Sequence[str], spelled: str) -> str:
    """Replace the value at the end of ``parts``, or add it where there is none."""
    node = _yaml().compose(text)
    for part in parts[:-1]:
        node = _child(node, part)
        if node is None:  # it comes from a merged section
            return text
    child = _child(node, parts[-1])
    if child is not None:
        start, end = child.start_mark.index, _end(child)
        if start == end and isinstance(node, MappingNode):  # nothing yet, wherever its mark is
            key = next(key for key, value in node.value if value is child)
            start = end = text.index(":", key.end_mark.index) + 1
            spelled = f" {spelled}"
        return f"{text[:start]}{spelled}{text[end:]}"
    last = [value for _, value in node.value][-1:]
    if node.flow_style:
        at = _end(last[0]) if last else node.start_mark.index + 1
        return f"{text[:at]}{', ' if last else ''}{parts[-1]}: {spelled}{text[at:]}"
    at = text.find("\n", _end(last[0]))
    at = len(text) if at < 0 else at
    indent = " " * node.value[0][0].start_mark.column
    return f"{text[:at]}\n{indent}{parts[-1]}: {spelled}{text[at:]}"


def _spelled(text: str, parts: Sequence[str]) -> str:
    """Give a value as it is written."""
    node = _yaml().compose(text)
    for part in parts:
        node = node and _child(node, part)
    return text[node.start_mark.index : _end(node)] if node else ""


def _cut(text: str, parts: Sequence[str]) -> str:
    """Take out what :func:`_put` has added: a line, or an item and its comma."""
    node = _yaml().compose(text)
    for part in parts[:-1]:
        node = _child(node, part)
    names = [str(key.value) for key, _ in node.value]
    at = names.index(parts[-1])
    key, value = node.value[at]
    start, end = key.start_mark.index, _end(value)
    if not node.flow_style:
        start, end = text.rindex("\n", 0, start), text.find("\n", end)
    elif at:
        start = _end(node.value[at - 1][1])
    elif len(names) > 1:
        end = node.value[1][0].start_mark.index
    return f"{text[:start]}{text[end:] if end >= 0 else ''}"


def _child(node: Node, part: str) -> Any:
    if isinstance(node, MappingNode):
        return next((value for key, value in node.value if str(key.value) == part), None)
    if isinstance(node, SequenceNode):
        return node.value[int(part)]
    return None


def _end(node: Any) -> int:
    """Find where a value ends; a block's own mark lies behind the comments that follow it."""
    while isinstance(node, CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(node, MappingNode) else last
    return int(node.end_mark.index)
