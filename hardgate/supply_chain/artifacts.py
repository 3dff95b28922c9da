"""Whether the files of a model can do harm: an allow-list of formats, and none of the known tricks.

What is not allowed is refused, so a trick need not be known to be caught; those that are known get
words of their own. Tricks: Slaviero (2011), *Sour pickles*; Casey et al. (2025), *A large-scale
exploit instrumentation study of AI/ML supply chain attacks in Hugging Face models*; the advisories
of Keras (CVE-2024-3660), of ONNX (CVE-2024-27318) and of picklescan itself. picklescan has a second
look at what was let through. Nothing here unpacks, imports or loads a file.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import unicodedata
from collections.abc import Collection, Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path, PurePosixPath
from typing import Any

from hardgate.records import Record
from hardgate.supply_chain import disguises, formats
from hardgate.supply_chain.formats import RefusedFile

LARGEST = 16 << 30  # bytes of one file
MOST_FILES = 1000
DEEPEST = 8  # folders within folders
# What Windows takes for a device, with any ending.
DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$)(\..*)?", re.IGNORECASE)
MLMODEL = "MLmodel"
LOADER = "hardgate.serving"
FLAVOR = "python_function"
FLAVOR_KEYS = frozenset(
    {"code", "config", "data", "env", "loader_module", "python_version", "streamable"}
)
INSTALLERS = frozenset({"hardgate", "pip", "python", "setuptools", "wheel"})


class Unsafe(Record):
    """A file, and why it is refused."""

    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"


class Scan(Record):
    """How many files a directory has, and which of them are refused."""

    files: int
    unsafe: tuple[Unsafe, ...]


def scan(directory: Path, *, locked: Collection[str]) -> Scan:
    """Look at every file of a model directory, by its content.

    Parameters
    ----------
    locked
        Canonical names of the packages that a model may ask for.
    """
    unsafe: list[Unsafe] = []
    seen: dict[str, str] = {}
    count = 0
    for path, entry, trouble in _walk(directory):
        if trouble is None:
            count += 1
            folded = unicodedata.normalize("NFKC", path).casefold()
            twin = seen.setdefault(folded, path)
            trouble = f"has the same name as {twin} for some systems" if twin != path else None
        trouble = trouble or check_name(path)
        trouble = trouble or (_look(Path(entry), path, locked) if entry is not None else None)
        if trouble is not None:
            unsafe.append(Unsafe(path=path, why=trouble))
        if count > MOST_FILES:
            unsafe.append(Unsafe(path=".", why=f"there are more than {MOST_FILES:,} files"))
            break
    return Scan(files=count, unsafe=tuple(unsafe))


def _walk(directory: Path) -> Iterator[tuple[str, str | None, str | None]]:
    """List what is below a directory without following anything: name, place, and what is wrong."""
    if directory.is_symlink() or not directory.is_dir():
        yield ".", None, "is a link or no folder"
        return
    folders = [("", directory)]
    while folders:
        within, folder = folders.pop()
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            path = f"{within}{entry.name}"
            if entry.is_symlink():
                yield path, None, "is a link, which can lead anywhere"
            elif entry.is_dir(follow_symlinks=False):
                if trouble := check_name(path):
                    yield path, None, trouble
                elif within.count("/") >= DEEPEST:
                    yield path, None, f"is more than {DEEPEST} folders deep"
                else:
                    folders.append((f"{path}/", Path(entry.path)))
            elif not entry.is_file(follow_symlinks=False):
                yield path, None, "is no plain file: a pipe, a socket or a device"
            else:
                yield path, entry.path, None


def check_name(path: str) -> str | None:
    """Say what is wrong with the name of a file, as a directory or any listing has it."""
    parts = path.split("/")
    if path.startswith("/") or re.match(r"[A-Za-z]:", path) or "\\" in path:
        return "its name is absolute, or has the separator of another system"
    if not all(parts) or {".", ".."} & set(parts):
        return "its name leads out of its folder"
    if not path.isascii() or not path.isprintable():
        return f"its name has signs that mislead: {path!a}"
    if any(part[0] in ".-~ " or part[-1] in ". " for part in parts):
        return "its name is hidden, reads as an option, or ends in a blank or a dot"
    if any(DEVICE.fullmatch(part) for part in parts) or re.search(r'[<>:"|?*]', path):
        return "its name is a device or a pattern elsewhere"
    if len(path) > 255:
        return "its name is longer than systems take"
    return None


def _look(place: Path, path: str, locked: Collection[str]) -> str | None:
    """Open a file, see that it is the plain one that was listed, and look at its content."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            return "is no plain file any more"
        if state.st_nlink > 1:
            return f"is a hard link: {state.st_nlink} names share its bytes"
        if state.st_size == 0:
            return "is empty"
        if state.st_size > LARGEST:
            return f"has {state.st_size:,} bytes, more than {LARGEST:,}"
        with mmap(descriptor, 0, access=ACCESS_READ) as content:
            trouble = check_content(content, path, locked)
        return trouble or _second_look(file, path)


def check_content(content: disguises.Bytes, path: str, locked: Collection[str]) -> str | None:
    """Say why content is refused; None when it is wholly of a format that is allowed."""
    if disguise := next(disguises.found(content), None):
        return f"is {disguise}"
    try:
        if formats.is_safetensors(content):
            formats.check_safetensors(content)
            return None
        if bytes(content[:64]).lstrip()[:1] in {b"{", b"["}:
            formats.check_plain(formats.read_json(content))
            return None
        text = formats.read_text(content)
        names = formats.requirements(text)
        if names is not None:
            _check_packages(names, locked)
            return None
        described = formats.read_yaml(text)
        formats.check_plain(described)
        if PurePosixPath(path).name == MLMODEL:
            _check_mlmodel(described)
        else:
            _check_environment(described, locked)
    except RefusedFile as error:
        return str(error)
    return None


def _check_mlmodel(described: dict[str, Any]) -> None:
    """Refuse a description that makes MLflow load anything but this library on these data."""
    flavors = described.get("flavors")
    if not isinstance(flavors, dict) or set(flavors) != {FLAVOR}:
        raise RefusedFile(f"it is an MLmodel whose flavors are not {FLAVOR} alone")
    flavor = flavors[FLAVOR]
    if not isinstance(flavor, dict) or set(flavor) - FLAVOR_KEYS:
        raise RefusedFile(f"its {FLAVOR} has keys beyond {', '.join(sorted(FLAVOR_KEYS))}")
    if flavor.get("loader_module") != LOADER:
        raise RefusedFile(f"it is loaded by {flavor.get('loader_module')!r} and not by {LOADER}")
    if flavor.get("code") is not None:
        raise RefusedFile(f"it brings code along, in {flavor['code']!r}")
    for name in (flavor.get("data"), *_texts(flavor.get("env", {}))):
        if not isinstance(name, str) or check_name(name):
            raise RefusedFile(f"it names {name!r}, which is not a file below it")


def _check_environment(described: dict[str, Any], locked: Collection[str]) -> None:
    """Refuse dependencies from elsewhere, and those that nobody locked."""
    for text in _texts(described):
        if "://" in text or "@" in text or "git+" in text:
            raise RefusedFile(f"it points elsewhere: {text!r}")
    wanted = [
        text
        for key in ("dependencies", "build_dependencies")
        for text in _texts(described.get(key, []))
        if text != "-r requirements.txt"
    ]
    names = [(text, formats.requirement(text)) for text in wanted]
    if strange := [text for text, name in names if name is None]:
        raise RefusedFile(f"its dependency {strange[0]!r} is no plain requirement")
    _check_packages([name for _, name in names if name], locked)


def _check_packages(names: list[str], locked: Collection[str]) -> None:
    for name in names:
        canonical = re.sub(r"[-_.]+", "-", name).lower()
        if canonical not in locked and canonical not in INSTALLERS:
            raise RefusedFile(f"it asks for the package {name!r}, which the lock does not name")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner)
            yield str(key)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _second_look(file: Any, path: str) -> str | None:
    """Let picklescan look at a file that was let through."""
    from picklescan import scanner  # whose globals are not counted: text can read as one

    logger = logging.getLogger("picklescan")
    before, logger.disabled = logger.disabled, True
    try:
        file.seek(0)
        result = scanner.scan_bytes(file, path, PurePosixPath(path).suffix)
    except Exception as error:  # noqa: BLE001  a scanner that breaks has not said yes
        return f"makes picklescan break: {type(error).__name__}"
    finally:
        logger.disabled = before
    if result.issues_count or result.infected_files:
        names = ", ".join(sorted(f"{each.module}.{each.name}" for each in result.globals))
        return f"is a pickle to picklescan, of {names}"
    return None
