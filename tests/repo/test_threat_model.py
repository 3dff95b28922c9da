"""The threat model names tests, and they exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMED = sorted(
    set(re.findall(r"`(test_\w+)`", (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")))
)
WRITTEN = {
    name
    for folder in ("hardgate/registry", "hardgate/server", "tasks")
    for path in (ROOT / "tests" / folder).glob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}


@pytest.mark.parametrize("name", NAMED)
def test_what_the_threat_model_names_exists(name: str) -> None:
    assert name in WRITTEN


def test_the_threat_model_names_tests() -> None:
    assert len(NAMED) > 40
