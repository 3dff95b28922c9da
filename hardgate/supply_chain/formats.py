"""The formats that a model may be made of: safetensors, JSON, YAML without tags, requirements.

Which one a file is, its bytes say and not its name; then the whole of it must be that and nothing
more. safetensors: https://github.com/huggingface/safetensors#format, of which each rule is kept,
also those that readers leave out: no holes, no overlaps, nothing behind the last tensor.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from hardgate.supply_chain.disguises import Bytes

LONGEST_HEADER = 16 << 20  # names and shapes; the format itself allows 100 MB
LONGEST_TEXT = 64 << 20  # an input example is the longest that there is
DEEPEST = 64
BYTES = {  # of one element, by the format's names
    **{"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1},
    **{"U16": 2, "I16": 2, "F16": 2, "BF16": 2, "U32": 4, "I32": 4, "F32": 4},
    **{"U64": 8, "I64": 8, "F64": 8, "C64": 8},
}
LAYOUT = "\t\n\r"
# Keys and words by which libraries are made to import or run what a file names.
RUNNING_KEYS = frozenset({"auto_map", "chat_template", "custom_pipelines", "trust_remote_code"})
RUNNING_CLASSES = frozenset({"Lambda", "__lambda__"})


class RefusedFile(ValueError):  # noqa: N818  a verdict, not a mistake
    """A file is none of the formats, or not wholly."""


def is_safetensors(content: Bytes) -> bool:
    """Tell what begins as safetensors do: a length that fits, then an object of JSON."""
    return len(content) > 8 and content[8:9] == b"{" and 2 <= header_size(content) < 1 << 40


def header_size(content: Bytes) -> int:
    """Read the length that stands first in a safetensors file."""
    return int.from_bytes(content[:8], "little")


def check_safetensors(content: Bytes) -> None:
    """Refuse what is not exactly its header and the tensors that the header lists.

    Raises
    ------
    RefusedFile
        Says which rule is broken.
    """
    size = header_size(content)
    if size > LONGEST_HEADER:
        raise RefusedFile(
            f"its safetensors header of {size:,} bytes is longer than {LONGEST_HEADER:,}"
        )
    if 8 + size > len(content):
        raise RefusedFile(f"its safetensors header of {size:,} bytes ends behind the file's end")
    header = read_json(content[8 : 8 + size].rstrip(b" "))
    if not isinstance(header, dict):
        raise RefusedFile("its safetensors header is not an object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise RefusedFile("its safetensors metadata are not texts")
    reached = 0
    for name, (start, end) in sorted(_extents(header), key=lambda item: item[1]):
        if start != reached:
            what = "overlaps the one before" if start < reached else "leaves a hole before it"
            raise RefusedFile(f"its tensor {name!r} {what}")
        reached = end
    left = len(content) - 8 - size - reached
    if left:
        what = f"{left:,} bytes follow" if left > 0 else f"{-left:,} bytes are missing from"
        raise RefusedFile(f"{what} its last tensor")


def _extents(header: dict[str, Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Read where each tensor lies, after its size was found to be that of its shape."""
    for name, tensor in header.items():
        if not isinstance(tensor, dict) or set(tensor) != {"dtype", "shape", "data_offsets"}:
            raise RefusedFile(f"its tensor {name!r} has not dtype, shape and offsets alone")
        shape, offsets = tensor["shape"], tensor["data_offsets"]
        if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
            raise RefusedFile(f"its tensor {name!r} has a shape or offsets that are no sizes")
        if not isinstance(tensor["dtype"], str) or tensor["dtype"] not in BYTES:
            raise RefusedFile(f"its tensor {name!r} is of the unknown type {tensor['dtype']!r}")
        expected = math.prod(shape) * BYTES[tensor["dtype"]]
        if offsets[1] - offsets[0] != expected:
            raise RefusedFile(
                f"its tensor {name!r} takes {offsets[1] - offsets[0]:,} bytes, its shape "
                f"{expected:,}"
            )
        yield name, (offsets[0], offsets[1])


def _are_sizes(values: object) -> bool:
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value < 1 << 48 for value in values
    )


def read_text(content: Bytes) -> str:
    """Read text; what a terminal or an editor would show otherwise than it is, is none.

    Raises
    ------
    RefusedFile
        If it is not UTF-8, too long, or holds signs that hide or turn others round.
    """
    if len(content) > LONGEST_TEXT:
        raise RefusedFile(f"a text of {len(content):,} bytes is longer than {LONGEST_TEXT:,}")
    try:
        text = bytes(content).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedFile(f"it is no allowed format, nor text from byte {error.start} on") from None
    for sign in set(text):
        if unicodedata.category(sign) in {"Cc", "Cf", "Co", "Cs"} and sign not in LAYOUT:
            raise RefusedFile(f"its text holds the invisible sign U+{ord(sign):04X}")
    return text


def read_json(content: Bytes) -> Any:
    """Read JSON that has one meaning alone.

    Raises
    ------
    RefusedFile
        If it is broken, too deep, or says a key twice.
    """
    text = read_text(content)
    try:
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise RefusedFile("its JSON is nested too deeply") from None
    except ValueError as error:
        if isinstance(error, RefusedFile):
            raise
        raise RefusedFile(f"it is not JSON: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise RefusedFile("its JSON says a key twice, so that two readers can read two things")
    return made


def read_yaml(text: str) -> Any:
    """Read one YAML document of plain values.

    Raises
    ------
    RefusedFile
        At a tag, which can name a Python object; at an anchor, since aliases of aliases grow
        without end; at a second document or a key said twice; and if the whole is no mapping.
    """
    import yaml

    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise RefusedFile("its YAML has an anchor or an alias")
            if tag := getattr(event, "tag", None):
                raise RefusedFile(f"its YAML has the tag {tag}")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise RefusedFile("its YAML is nested too deeply")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        _no_key_twice(node)
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RefusedFile(
            f"it is neither JSON, YAML nor requirements: {_first_line(error)}"
        ) from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, RefusedFile):
            raise
        raise RefusedFile(f"its YAML holds a value that is none: {error}") from None
    if not isinstance(found, dict):
        raise RefusedFile("it is text, but neither JSON, a YAML mapping nor requirements")
    return found


def _no_key_twice(node: Any) -> None:
    import yaml

    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(node.value):
            raise RefusedFile("its YAML says a key twice, or has a key that is no text")
        for _, value in node.value:
            _no_key_twice(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _no_key_twice(value)


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0]


def check_plain(value: Any, *, depth: int = 0) -> None:
    """Refuse the words by which a reader is made to run what data name.

    Raises
    ------
    RefusedFile
        Names the key: a Keras lambda layer, an object of jsonpickle, code of a hub.
    """
    if depth > DEEPEST:
        raise RefusedFile("it is nested too deeply")
    if isinstance(value, dict):
        for key, inner in value.items():
            word = str(key)
            if word.startswith("py/") or word in RUNNING_KEYS:
                raise RefusedFile(f"its key {word!r} makes libraries run what it names")
            if word in {"class_name", "type", "class"} and inner in list(RUNNING_CLASSES):
                raise RefusedFile("it has a Keras lambda layer, which is code")
            check_plain(inner, depth=depth + 1)
    elif isinstance(value, list):
        for inner in value:
            check_plain(inner, depth=depth + 1)


REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)(\[[\w,. -]+\])?"
    r"\s*(?P<versions>(===?|~=|!=|<=?|>=?|=)\s*[\w.*+!-]+(\s*,\s*(===?|~=|!=|<=?|>=?)\s*[\w.*+!-]+)*)?",
    re.ASCII,
)


def requirement(line: str) -> str | None:
    """Give the name that a plain requirement asks for; None for anything else."""
    found = REQUIREMENT.fullmatch(line.strip())
    return found["name"] if found else None


def requirements(text: str) -> list[str] | None:
    """Give the names that lines of requirements ask for, or None if a line is something else."""
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    names = [requirement(line) for line in lines if line]
    if not names or None in names:
        return None
    return [name for name in names if name]
