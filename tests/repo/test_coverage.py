"""docs/coverage.md is written from docs/coverage.yaml, and what it names exists."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import ValidationError

from hardgate.gates import Gate
from hardgate.reporting import coverage
from hardgate.reporting.coverage import Coverage

ROOT = Path(__file__).parents[2]
FACTS = coverage.read(ROOT / coverage.FACTS)
NAMED = sorted({path for answer in FACTS.answers.values() for path in answer.tests})
KINDS = {
    member.model_fields["kind"].annotation.__args__[0] for member in get_args(get_args(Gate)[0])
}
FRAMEWORKS = [
    "MITRE ATLAS",
    "OWASP Machine Learning Security Top 10",
    "OWASP AISVS",
    "NIST AI 100-2",
    "GDPR",
    "HIPAA",
    "EU AI Act",
]


@cache
def functions(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_page_is_the_one_that_the_facts_give() -> None:
    page = (ROOT / coverage.PAGE).read_text(encoding="utf-8")
    assert page == coverage.render(FACTS), "run `make coverage`"


@pytest.mark.parametrize("path", NAMED)
def test_a_named_test_exists(path: str) -> None:
    file, _, name = path.partition("::")
    assert name in functions(file)


def test_every_gate_answers_something_and_no_other_is_named() -> None:
    assert {name.partition("/")[0] for name in FACTS.gates} == KINDS
    assert not KINDS & set(FACTS.controls)


def test_all_seven_lists_are_there() -> None:
    assert [each.name for each in FACTS.frameworks] == FRAMEWORKS


def test_no_key_of_the_facts_stands_twice() -> None:
    """YAML's reader takes the last of two without a word."""
    open_nodes = [yaml.compose((ROOT / coverage.FACTS).read_text(encoding="utf-8"))]
    while open_nodes:
        node = open_nodes.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(set(keys)) == len(keys), node.start_mark
            open_nodes += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            open_nodes += node.value


def facts(*rows: dict[str, object]) -> dict[str, object]:
    answer = {"what": "asks", "tests": ["tests/test_a.py::test_it_holds"]}
    return {
        "gates": {"drift": answer},
        "controls": {},
        "frameworks": [{"name": "List", "edition": "First.", "rows": list(rows)}],
    }


ANSWERED = {"entries": {"A1": "One"}, "by": ["drift"]}
WITHOUT = {"entries": {"A2": "Two"}, "reason": "Elsewhere."}


def test_entries_are_counted_and_rows_not_covered_are_printed_as_such() -> None:
    partly = {"entries": {"A3": "Three", "A4": "Four"}, "by": ["drift"], "missing": "Half of it."}
    page = coverage.render(Coverage.model_validate(facts(ANSWERED, partly, WITHOUT)))
    assert "| [List](#list) | 4 | 1 | 2 | 1 |" in page
    assert "| **A2** Two | not |  | Elsewhere. |" in page
    assert "| **A3** Three; **A4** Four | in part | [`drift`](gates.md#drift): [it holds] |" in page
    assert "[it holds]: ../tests/test_a.py" in page


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([ANSWERED, {"entries": {"A2": "Two"}}], "needs 'by'"),
        ([ANSWERED, WITHOUT | {"by": ["drift"]}], "needs 'by'"),
        ([ANSWERED, WITHOUT | {"missing": "All."}], "needs 'by'"),
        ([ANSWERED, WITHOUT | {"entries": {"A1": "One"}}], "List: 'A1' twice"),
        ([ANSWERED | {"by": ["drift", "drifts"]}], "'drifts' is no gate or control"),
        ([WITHOUT], "'drift' answers nothing"),
        ([ANSWERED | {"entries": {}}], "at least 1 item"),
        ([ANSWERED | {"entires": {}}], "Extra inputs"),
    ],
    ids=[
        "nothing",
        "both",
        "missing of nothing",
        "twice",
        "unknown",
        "unused",
        "empty",
        "misspelt",
    ],
)
def test_facts_that_do_not_hold_together_are_refused(
    rows: list[dict[str, object]], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        Coverage.model_validate(facts(*rows))
