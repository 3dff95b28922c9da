from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from hardgate.schedules import Schedule

SCHEDULES: TypeAdapter[Any] = TypeAdapter(Schedule)


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ({"name": "constant"}, [1, 1, 1, 1]),
        ({"name": "cosine"}, [1, (1 + math.cos(math.pi / 4)) / 2, 0.5, 0]),
        (
            {"name": "cosine", "floor": 0.1},
            [1, 0.1 + 0.45 * (1 + math.cos(math.pi / 4)), 0.55, 0.1],
        ),
        ({"name": "cosine", "hold": 0.25}, [1, 1, 0.75, 0]),
        ({"name": "warm-restarts", "cycles": 2, "growth": 3}, [1, 1, 0.75, 0]),
        ({"name": "warm-restarts", "cycles": 4, "growth": 1, "floor": 0.1}, [1, 1, 1, 0.1]),
        ({"name": "one-cycle", "peak": 0.25}, [0, 1, 2 / 3, 0]),
        ({"name": "piecewise", "milestones": [0.25, 0.5], "drop": 0.1}, [1, 0.1, 0.01, 0.01]),
    ],
    ids=[
        "constant",
        "cosine",
        "cosine with a floor",
        "cosine after a hold",
        "warm restarts that grow",
        "warm restarts of one length",
        "one-cycle",
        "piecewise",
    ],
)
def test_a_schedule_is_the_curve_on_paper(schedule: dict[str, Any], factors: list[float]) -> None:
    built = SCHEDULES.validate_python(schedule)
    assert [built.factor(at) for at in (0, 0.25, 0.5, 1)] == pytest.approx(factors)


def test_milestones_must_ascend() -> None:
    with pytest.raises(ValidationError, match="do not ascend"):
        SCHEDULES.validate_python({"name": "piecewise", "milestones": [0.5, 0.2]})
