"""What is installed: which versions, and whether what is imported is what was installed.

Installers merge distributions into one folder and keep no order: a file that two of them bring is
whichever came last, and the other runs on foreign code without a word. torchattacks 3.5.1 brings a
whole ``robustbench`` along. A file of the right name earlier on the path does the same to any of
them, and so do files in that folder that no distribution brought: Python runs ``*.pth`` and
``sitecustomize.py`` before the first line of a program.
"""

from __future__ import annotations

import csv
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path

from hardgate.supply_chain import locks

SOURCES = (".py", ".so", ".pyd")
AT_START = frozenset({"sitecustomize.py", "usercustomize.py"})
OF_VIRTUALENV = frozenset({"_virtualenv.py", "_virtualenv.pth"})  # it and uv venv write them
# What a checkout has on the path, since it is started there; no distribution may bring the same.
PROJECT = frozenset({"flows", "tasks", "expectations", "tests", "benchmarks", locks.OWN})
NO_MODULES = (".dist-info", ".egg-info", ".data", ".pth")


@dataclass(frozen=True)
class Distribution:
    """One installed package: its name, version, and the files it says are its own."""

    name: str
    version: str
    place: Path  # the folder on the path
    files: Mapping[str, str] = field(default_factory=dict)  # digest by name, as its RECORD says

    @cached_property
    def tops(self) -> frozenset[str]:
        """The files and folders that it put where packages lie."""
        return frozenset(name.split("/", 1)[0] for name in self.files)

    @cached_property
    def modules(self) -> frozenset[str]:
        """The names that it makes importable."""
        return frozenset(
            top.split(".")[0]
            for top in self.tops
            if top not in {"..", "__pycache__"} and not top.endswith(NO_MODULES)
        )


@dataclass(frozen=True)
class Installation:
    """Everything that Python finds on its path, in its order."""

    distributions: tuple[Distribution, ...]
    path: tuple[Path, ...]
    stdlib: Path

    @cached_property
    def versions(self) -> dict[str, str]:
        """Versions by canonical name; of two of one name, the one that is found first."""
        return {each.name: each.version for each in reversed(self.distributions)}


def read(path: Sequence[str] | None = None) -> Installation:
    """Read what is installed, from the descriptions that installers leave."""
    places = [Path(entry or ".") for entry in (sys.path if path is None else path)]
    found = metadata.distributions() if path is None else metadata.distributions(path=list(path))
    return Installation(
        distributions=tuple(_distribution(each) for each in found if each.metadata["Name"]),
        path=tuple(place for place in places if place.is_dir()),
        stdlib=Path(sysconfig.get_path("stdlib")),
    )


def _distribution(found: metadata.Distribution) -> Distribution:
    rows = csv.reader((found.read_text("RECORD") or "").splitlines())
    files = {row[0]: row[1] for row in rows if len(row) > 1 and not row[0].endswith(".pyc")}
    return Distribution(
        name=locks.canonical(found.metadata["Name"]),
        version=found.version,
        place=Path(str(found.locate_file(""))),
        files=files,
    )


def other_versions(installation: Installation, locked: Mapping[str, str]) -> Iterator[str]:
    """List the packages that are installed in another version than the lock says."""
    for name, version in sorted(installation.versions.items()):
        wanted = locked.get(name)
        if wanted is not None and wanted != version:
            yield f"{name} {version} is installed, {locks.FILE} says {wanted}; run make setup"


def not_locked(installation: Installation, locked: Mapping[str, str]) -> Iterator[str]:
    """List the installed packages that the lock does not name; whose code nobody chose."""
    for name, version in sorted(installation.versions.items()):
        if name not in locked and name != locks.OWN:
            yield f"{name} {version} is installed, {locks.FILE} does not name it; run make setup"


def shadowed(installation: Installation) -> Iterator[str]:
    """List what is imported from elsewhere than it was installed to."""
    yield from _twice(installation)
    yield from _overwritten(installation)
    yield from _hidden(installation)
    yield from _standard_library(installation)
    yield from _unowned(installation)


def _twice(installation: Installation) -> Iterator[str]:
    places = defaultdict(list)
    for each in installation.distributions:
        if each.name != locks.OWN:
            places[each.name].append(each)
    for name, found in sorted(places.items()):
        if len({str(each.place.resolve()) for each in found}) > 1:
            versions = " and ".join(f"{each.version} in {each.place}" for each in found)
            yield f"{name} is installed twice: {versions}"


def _overwritten(installation: Installation) -> Iterator[str]:
    """List the pairs of distributions that bring one file with two contents."""
    owners: dict[tuple[Path, str], dict[str, str]] = defaultdict(dict)
    for each in installation.distributions:
        for name, digest in each.files.items():
            if digest and name.endswith(SOURCES):
                owners[each.place, name][each.name] = digest
    pairs: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for (_, name), digests in owners.items():
        if len(set(digests.values())) > 1:
            pairs[tuple(sorted(digests))].append(name)
    for names, files in sorted(pairs.items()):
        yield (
            f"{' and '.join(names)} bring {len(files)} files of the same name and other content, "
            f"such as {min(files)}; one of them has overwritten the other: remove one"
        )


def _hidden(installation: Installation) -> Iterator[str]:
    """List the modules of distributions that another folder, earlier on the path, has as well."""
    modules = defaultdict(list)
    for each in installation.distributions:
        for module in each.modules - PROJECT:
            modules[module].append(each)
    before: dict[Path, set[str]] = {}
    for place in installation.path:
        here = {module for module, owners in modules.items() if place in {o.place for o in owners}}
        for earlier, found in before.items():
            for module in sorted(here & found):
                if earlier not in {owner.place for owner in modules[module]}:
                    owner = modules[module][0].name
                    yield f"{earlier / module} is imported in the place of {owner}; rename it"
        before[place] = _importable(place)


def _standard_library(installation: Installation) -> Iterator[str]:
    for place in installation.path:
        if place.resolve() == installation.stdlib.resolve():
            return
        for module in sorted(_importable(place) & sys.stdlib_module_names):
            yield f"{place / module} is imported in the place of Python's own {module}; rename it"


def _unowned(installation: Installation) -> Iterator[str]:
    """List what lies among the installed packages, is run or imported, and is nobody's."""
    for each in installation.distributions:
        if not each.files:
            yield f"{each.name} does not say which files are its own; install it anew"
    for place in sorted({each.place for each in installation.distributions}):
        if place not in installation.path or not _is_for_packages(place):
            continue
        owned = OF_VIRTUALENV.union(
            *(each.tops for each in installation.distributions if each.place == place)
        )
        for file in sorted(place.iterdir()):
            runs = file.suffix == ".pth" and _runs_code(file)
            if file.name not in owned and (runs or file.name in AT_START):
                yield f"{file} is run whenever Python starts, and no package brought it; read it"
            elif file.name not in owned and _importable_name(file) is not None:
                yield f"{file} can be imported, and no package brought it; remove it"


def _is_for_packages(place: Path) -> bool:
    return place.name in {"site-packages", "dist-packages"}


def _runs_code(file: Path) -> bool:
    """Tell whether Python runs a line of a ``.pth`` file: one that begins with ``import``."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True
    return any(line.startswith(("import ", "import\t")) for line in lines)


def _importable(place: Path) -> set[str]:
    try:
        found = (_importable_name(file) for file in place.iterdir())
        return {name for name in found if name is not None}
    except OSError:
        return set()


def _importable_name(file: Path) -> str | None:
    """Name what a file or a folder makes importable; a folder without ``__init__.py`` is last."""
    if file.name.endswith(SOURCES):
        return file.name.split(".")[0]
    return file.name if (file / "__init__.py").is_file() else None
