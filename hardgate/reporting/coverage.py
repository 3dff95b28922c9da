"""The page on coverage: which gate answers which entry of a published list, and by which test.

``docs/coverage.yaml`` holds the facts, and ``make coverage`` writes ``docs/coverage.md`` from them.
A test holds the two together, and looks whether the tests that are named exist.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated

import yaml
from pydantic import Field, StringConstraints, model_validator

from hardgate.records import Record

FACTS, PAGE = Path("docs/coverage.yaml"), Path("docs/coverage.md")
Text = Annotated[str, StringConstraints(min_length=1)]
Test = Annotated[str, StringConstraints(pattern=r"^tests/[\w/]+\.py::test_\w+$")]


class Answer(Record):
    """A gate or a control, and the tests in which it is seen refusing or holding."""

    what: Text
    tests: tuple[Test, ...] = Field(min_length=1)


class Row(Record):
    """Entries of a list that one sentence is true of: answered, in part, or not and why."""

    entries: dict[str, Text] = Field(min_length=1)  # title by identifier
    by: tuple[str, ...] = ()
    missing: Text | None = None
    reason: Text | None = None

    @model_validator(mode="after")
    def _is_answered_or_says_why_not(self) -> Row:
        if bool(self.by) == bool(self.reason) or (self.missing and not self.by):
            raise ValueError("needs 'by', perhaps with what is 'missing', or else a 'reason'")
        return self

    @property
    def covered(self) -> str:
        """The word in the table."""
        return "not" if self.reason else "in part" if self.missing else "answered"


class Framework(Record):
    """One published list, in its own order."""

    name: Text
    edition: Text
    rows: tuple[Row, ...] = Field(min_length=1)

    def count(self, *covered: str) -> int:
        """Count entries, not rows."""
        return sum(len(row.entries) for row in self.rows if row.covered in covered)


class Coverage(Record):
    """All of ``docs/coverage.yaml``. A gate is named by its kind, perhaps with what it asks for."""

    gates: dict[str, Answer]
    controls: dict[str, Answer]
    frameworks: tuple[Framework, ...]

    @property
    def answers(self) -> Mapping[str, Answer]:
        """Gates first, then controls."""
        return self.gates | self.controls

    @model_validator(mode="after")
    def _holds_together(self) -> Coverage:
        named = {name for each in self.frameworks for row in each.rows for name in row.by}
        problems = [f"'{name}' is no gate or control" for name in named - set(self.answers)]
        problems += [f"'{name}' answers nothing" for name in set(self.answers) - named]
        problems += [
            f"'{name}' is a gate and a control" for name in self.gates & self.controls.keys()
        ]
        for each in self.frameworks:
            problems += [
                f"{each.name}: '{entry}' twice"
                for entry in _twice(entry for row in each.rows for entry in row.entries)
            ]
        paths = {path for answer in self.answers.values() for path in answer.tests}
        problems += [f"'{name}' in two files" for name in _twice(map(_name, paths))]
        if problems:
            raise ValueError("; ".join(sorted(problems)))
        return self


def read(path: Path) -> Coverage:
    """Read the facts.

    Raises
    ------
    ValidationError
        If an answer is unknown or unused, an entry stands twice, or a row says neither.
    """
    return Coverage.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def render(coverage: Coverage) -> str:
    """Write the page, in Markdown."""
    return "\n".join(_lines(coverage)) + "\n"


def _lines(coverage: Coverage) -> Iterator[str]:
    yield INTRODUCTION
    yield from _table("list", "entries", "answered", "in part", "not covered")
    for each in coverage.frameworks:
        words = ("answered", "in part", "not")
        numbers = [each.count(*words), *(each.count(covered) for covered in words)]
        yield _cells(f"[{each.name}](#{_anchor(each.name)})", *map(str, numbers))
    for each in coverage.frameworks:
        yield f"\n## {each.name}\n\n{each.edition}\n"
        yield from _table(
            "entry", "covered", "by, and the tests that show it", "missing, or why not"
        )
        for row in each.rows:
            yield _cells(
                "; ".join(f"**{entry}** {title}" for entry, title in row.entries.items()),
                row.covered,
                "<br>".join(
                    f"{_shown(name, coverage)}: {_said(coverage.answers[name])}" for name in row.by
                ),
                row.missing or row.reason or "",
            )
    for heading, answers in (("Gates", coverage.gates), ("Controls", coverage.controls)):
        yield f"\n## {heading}\n"
        yield from _table(heading.lower().removesuffix("s"), "what", "shown by")
        for name, answer in answers.items():
            tests = ", ".join(f"[`{_name(path)}`][{_sentence(path)}]" for path in answer.tests)
            yield _cells(_shown(name, coverage), answer.what, tests)
    yield ""
    for path in sorted({path for answer in coverage.answers.values() for path in answer.tests}):
        yield f"[{_sentence(path)}]: ../{path.partition('::')[0]}"


def _shown(name: str, coverage: Coverage) -> str:
    if name in coverage.controls:
        return name
    kind, _, _ = name.partition("/")
    return f"[`{name}`](gates.md#{kind.replace('_', '-')})"


def _said(answer: Answer) -> str:
    return ", ".join(f"[{_sentence(path)}]" for path in answer.tests)


def _sentence(path: str) -> str:
    return _name(path).removeprefix("test_").replace("_", " ")


def _name(path: str) -> str:
    return PurePosixPath(path).name.partition("::")[2]


def _anchor(heading: str) -> str:
    return "".join(c for c in heading.lower() if c.isalnum() or c in "- ").replace(" ", "-")


def _twice(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def _table(*heads: str) -> tuple[str, str]:
    return _cells(*heads), _cells(*("---" for _ in heads))


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


INTRODUCTION = """\
<!-- Written by `make coverage` from docs/coverage.yaml; change that file. -->
# Coverage

What Hardgate does about the entries of seven published lists, and which test shows it.

- **answered**: what the entry asks of a hardening pipeline and its registry is measured and gated,
  or held by a control. It is no promise that an attack cannot succeed: what a gate does not see
  stands in [gates.md](gates.md), what the registry does not stop in
  [threat-model.md](threat-model.md).
- **in part**: a gate or control answers some of it; the last column says what is missing.
- **not**: nothing here answers it; the last column says why.

A gate refuses only where the policy in `params.yaml` asks for it. Tests are linked by what their
names say; [gates](#gates) and [controls](#controls) have the names themselves. Entries that one
sentence is true of share a row and are counted one by one. Titles are those of the lists; what
stands beside a single paragraph of a law is said in our words. Which gate belongs to which entry is
our judgement, and nobody who publishes the lists has looked at it. This page is no legal advice and
no audit: a law is kept by an organisation and not by a pipeline.

## In numbers
"""


if __name__ == "__main__":
    PAGE.write_text(render(read(FACTS)), encoding="utf-8")
