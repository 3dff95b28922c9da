"""Approval, as a release manager does it."""

from __future__ import annotations

import pytest

from tests.hardgate.registry.conftest import GRACE, Version, World

pytestmark = pytest.mark.slow


def test_a_proven_version_is_approved_with_one_gesture(world: World, proven: Version) -> None:
    answer = world.promote(GRACE, proven)
    assert answer.ok, answer.text
    assert world.champion(proven.name) == proven.version
    tags = {tag["key"]: tag["value"] for tag in world.version(proven)["tags"]}
    assert tags["approval.by"] == "grace"
    assert tags["approval.target"] == "champion"
    assert tags["approval.evidence"] == tags["gate.evidence"]
