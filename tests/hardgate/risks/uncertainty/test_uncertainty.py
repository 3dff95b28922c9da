"""A model that is sure of everything is refused, its modest twin passes, and settings must fit."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from hardgate.errors import ParamsError
from hardgate.gates.out_of_distribution import OutOfDistributionGate
from hardgate.gates.selective import SelectiveGate
from hardgate.records import Column, ColumnType, ImageInput, TableInput, Verdict
from hardgate.risks import Uncertainty
from hardgate.threat import Threat

SPEC = TableInput(
    kind="table",
    columns=tuple(
        Column(name=name, type=ColumnType.REAL, mean=0, scale=1, low=-4, high=4) for name in "ab"
    ),
    classes=("no", "yes"),
)
IMAGES = ImageInput(kind="images", shape=(1, 8, 8), classes=("0", "1"), mean=(0,), scale=(1,))
THREAT = Threat(norm="Linf", eps=0.1, access="white-box", queries=9, columns={"a": {}})
RISK = Uncertainty.model_validate(
    {
        "name": "uncertainty",
        "coverages": [0.5],
        "scores": [{"name": "softmax"}, {"name": "mahalanobis", "space": "inputs"}],
        "kinds": ["permuted", "beyond"],
        "fitted": 1000,
        "accept": 0.95,
        "samples": 1000,
    }
)
SELECTIVE = SelectiveGate(kind="selective", coverage=0.5, bound=0.9, min_samples=400)
OTHERS = {
    score: OutOfDistributionGate(
        kind="out_of_distribution", score=score, bound=0.75, min_samples=400
    )
    for score in ("softmax", "mahalanobis-inputs")
}


class Judge(nn.Module):
    """Knows what the columns say together, and is as sure of it as ``sure`` makes it."""

    def __init__(self, sure):
        super().__init__()
        self.head = nn.Linear(2, 2, bias=False)
        self.head.weight.data = torch.tensor([[-1.0, -1.0], [1.0, 1.0]]) * sure

    def forward(self, rows):
        return self.head(rows)


@pytest.fixture
def measured(subject_of):
    def measure(sure, seed=1):
        generator = torch.Generator().manual_seed(seed)
        common = torch.randn(2000, 1, generator=generator)
        rows = common + 0.15 * torch.randn(2000, 2, generator=generator)  # a and b go together
        labels = (torch.rand(2000, generator=generator) < (4 * common[:, 0]).sigmoid()).long()
        return RISK.measure(subject_of(Judge(sure), SPEC, THREAT, rows, labels), None)

    return measure


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_is_sure_of_everything_is_refused(measured, seed):
    found = measured(1e6, seed)
    assert SELECTIVE.judge(found).verdict is Verdict.FAILED
    assert OTHERS["softmax"].judge(found).verdict is Verdict.FAILED
    assert found["uncertainty/calibration/classwise_ece"].lower > 0.07


@pytest.mark.parametrize("seed", range(3))
def test_its_twin_that_doubts_what_is_doubtful_passes(measured, seed):
    found = measured(1, seed)
    assert SELECTIVE.judge(found).verdict is Verdict.PASSED
    assert OTHERS["mahalanobis-inputs"].judge(found).verdict is Verdict.PASSED
    assert found["uncertainty/calibration/classwise_ece"].upper < 0.07


def test_the_worst_kind_stands_for_all_and_the_own_inputs_are_let_in(measured):
    found = measured(1)
    for score in OTHERS:
        areas = [found[f"uncertainty/ood/{score}/{kind}/auroc"] for kind in RISK.kinds]
        worst = found[f"uncertainty/ood/{score}/worst/auroc"]
        assert worst in areas
        assert worst.lower == min(area.lower for area in areas)
        own = found[f"uncertainty/ood/{score}/in_distribution/accepted"]
        assert own.lower < 0.97 and own.upper > 0.93


def test_every_number_has_words_and_the_same_seed_gives_the_same(measured):
    found = measured(1)
    assert found == measured(1)
    assert len({RISK.said(name) for name in found}) == len(found)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"coverages": [0.5, 0.5]}, "names one twice"),
        ({"kinds": ["permuted", "permuted"]}, "names one twice"),
        ({"scores": [{"name": "energy"}, {"name": "energy"}]}, "names one twice"),
        ({"coverages": [1.0]}, "less than 1"),
        ({"accept": 0}, "greater than 0"),
        ({"kinds": ["strange"]}, "letters"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, found):
    with pytest.raises(ValidationError, match=found):
        Uncertainty.model_validate(RISK.model_dump() | changes)


@pytest.mark.parametrize(
    ("kinds", "spec", "found"),
    [
        (["letters"], SPEC, "'letters' cannot be made of this data; choose of permuted, beyond"),
        (["beyond"], IMAGES, "'beyond' cannot be made of this data; choose of inverted"),
        (
            ["beyond"],
            SPEC.model_copy(
                update={
                    "columns": (
                        Column(name="c", type="categorical", mean=0, scale=1, low=0, high=0),
                    )
                }
            ),
            "'beyond' moves numbers and the table has none",
        ),
    ],
)
def test_kinds_that_cannot_be_made_are_refused(kinds, spec, found):
    with pytest.raises(ParamsError, match=found):
        Uncertainty.model_validate(RISK.model_dump() | {"kinds": kinds}).check(spec, THREAT)
