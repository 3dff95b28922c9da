"""Accuracy against queries: one run, one count per sample, and nothing believed unasked."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from hardgate import queries, region
from hardgate.attacks import Square
from hardgate.attacks.asking import Searched
from hardgate.errors import ContractError, ParamsError
from hardgate.queries import Queries
from hardgate.records import ImageInput
from hardgate.threat import Threat

SPEC = ImageInput(kind="images", shape=(1, 6, 6), classes=("a", "b"), mean=(0,), scale=(1,))
THREAT = Threat(norm="Linf", eps=0.1, access="decision-based", queries=60)
REGION = region.build(THREAT, SPEC)


def section(**changes: Any) -> Queries:
    plain = {
        "attacks": [{"name": "square", "restarts": 1}, {"name": "rays"}],
        "counts": [1, 10, 60],
        "samples": 9,
    }
    return Queries.model_validate({**plain, **changes})


class Brightness(nn.Module):
    """Two classes, told apart by the mean of the upper pixels less that of the lower."""

    def forward(self, images: Tensor) -> Tensor:
        upper, lower = images[:, :, :3].mean(dim=(1, 2, 3)), images[:, :, 3:].mean(dim=(1, 2, 3))
        score = 10 * (upper - lower)
        return torch.stack([-score, score], dim=1)


def images() -> tuple[Tensor, Tensor]:
    """Eight images at rising distances from a mistake, and one that is a mistake already."""
    gaps = torch.tensor([0.002, 0.05, 0.1, 0.15, 0.18, 0.22, 0.3, 0.4, -0.1])
    clean = torch.full((9, 1, 6, 6), 0.5)
    clean[:, :, :3] += gaps.view(-1, 1, 1, 1) / 2
    clean[:, :, 3:] -= gaps.view(-1, 1, 1, 1) / 2
    return clean, torch.ones(9, dtype=torch.long)


def measured(asked: Queries) -> dict[str, float]:
    clean, labels = images()
    found = queries.measure(
        asked, THREAT, REGION, Brightness(), clean, labels, seed=3, batch_size=4
    )
    assert all(each.samples == 9 for each in found.values())
    return {name: each.value for name, each in found.items()}


def test_a_curve_falls_from_what_is_right_clean_to_what_no_query_breaks() -> None:
    found = measured(section())
    for name in ("square", "rays"):
        points = [found[f"queries/{name}/{count}/accuracy"] for count in (1, 10, 60)]
        assert points == sorted(points, reverse=True)
        assert points[0] <= 8 / 9  # one is a mistake without any query
        assert points[-1] < points[0]
        assert points[-1] >= 3 / 9  # no change of 0.1 closes a gap of more than 0.2
    assert found["queries/rays/60/accuracy"] == 3 / 9


def test_points_of_a_curve_do_not_depend_on_which_others_are_asked_for() -> None:
    few, many = measured(section(counts=[10])), measured(section(counts=[5, 10, 20, 40]))
    assert few["queries/square/10/accuracy"] == many["queries/square/10/accuracy"]


def test_a_fall_that_did_not_happen_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    def boast(_: Square, model: nn.Module, inputs: Tensor, *__: Any, **___: Any) -> Searched:
        return Searched(inputs, torch.ones(len(inputs), dtype=torch.long))

    monkeypatch.setattr(Square, "search", boast)
    with pytest.raises(ContractError, match="classified correctly"):
        measured(section())


def test_a_fall_outside_the_ball_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    def leap(_: Square, model: nn.Module, inputs: Tensor, *__: Any, **___: Any) -> Searched:
        return Searched(1 - inputs, torch.ones(len(inputs), dtype=torch.long))

    monkeypatch.setattr(Square, "search", leap)
    with pytest.raises(ContractError, match="admissible no more"):
        measured(section())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"counts": [10, 10]}, "do not rise"),
        ({"counts": [20, 10]}, "do not rise"),
        ({"counts": []}, "at least 1"),
        ({"attacks": [{"name": "rays"}, {"name": "rays", "queries": 5}]}, "named twice"),
        ({"attacks": [{"name": "fgsm"}]}, "does not match any of the expected tags"),
    ],
)
def test_a_section_without_a_curve_in_it_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        section(**changes)


@pytest.mark.parametrize(
    ("changes", "threat", "said"),
    [
        ({"counts": [61]}, {}, "61 queries are more than the 60 that square asks"),
        (
            {"attacks": [{"name": "rays", "queries": 30}]},
            {},
            "60 queries are more than the 30 that rays asks",
        ),
        ({"attacks": [{"name": "rays"}]}, {"norm": "L2"}, "rays searches Linf balls"),
        (
            {"attacks": [{"name": "square", "restarts": 1}]},
            {"norm": "L2"},
            "use 'apgd-t' or 'simba'",
        ),
    ],
)
def test_what_does_not_fit_the_threat_is_refused(
    changes: dict[str, Any], threat: dict[str, Any], said: str
) -> None:
    with pytest.raises(ParamsError, match=said):
        section(**changes).check(SPEC, THREAT.model_copy(update=threat))
