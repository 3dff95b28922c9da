"""Each gate has its paragraph in docs/gates.md, and each paragraph its gate."""

import re
from pathlib import Path
from typing import get_args

import pytest

from hardgate.gates import Gate
from hardgate.gates.questions import paragraph

MEMBERS = get_args(get_args(Gate)[0])
KINDS = [member.model_fields["kind"].annotation.__args__[0] for member in MEMBERS]
GUIDE = Path("docs/gates.md").read_text(encoding="utf-8")
SECTIONS = dict(part.split("\n", 1) for part in GUIDE.split("\n## ")[1:])


@pytest.mark.parametrize("kind", KINDS)
def test_a_gate_has_a_paragraph_with_question_reason_and_remedy(kind):
    text = SECTIONS[paragraph(kind)]
    for part in ("```yaml", "**Asked:**", "**Why:**", "**When it says no:**"):
        assert part in text
    assert f"kind: {kind}" in text


def test_every_paragraph_belongs_to_a_gate():
    assert set(SECTIONS) - {"Bounds of the built-in models"} == {paragraph(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_gate_lives_in_the_file_of_its_name(kind):
    text = (Path("hardgate/gates") / f"{kind}.py").read_text(encoding="utf-8")
    assert re.search(rf'kind: Literal\["{kind}"\]', text)


def test_every_file_of_gates_is_in_the_union():
    files = {path.stem for path in Path("hardgate/gates").glob("*.py")}
    assert files - {"__init__", "questions"} == set(KINDS)
