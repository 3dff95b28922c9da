"""A model that learnt its rows by heart is refused; one that learnt a rule from them passes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional

from hardgate import measurements, risks
from hardgate.errors import DataError, ParamsError
from hardgate.gates.attribute_inference import AttributeInferenceGate
from hardgate.gates.membership import MembershipGate
from hardgate.measurements import INFERENCES, LEAKS, MEMBERSHIPS
from hardgate.records import ImageInput, Measurement, Verdict
from hardgate.risks.privacy import Inversion
from hardgate.samples import Samples
from tests.hardgate.risks.privacy.conftest import HEART, SENSE, SPEC, THREAT, without

RISK = risks.Privacy(name="privacy", samples=400, shadows=SENSE, attributes=400)
TOLD = MembershipGate(kind="membership", metric="auc", bound=0.65, min_samples=500)
NAMED = MembershipGate(kind="membership", metric="tpr_at_1_percent", bound=0.13, min_samples=150)
GUESSED = AttributeInferenceGate(
    kind="attribute_inference", column="secret", bound=0.15, min_samples=300
)
PICTURES = ImageInput(kind="images", shape=(1, 4, 4), classes=("0", "1"), mean=(0,), scale=(1,))


class Scaled(nn.Module):
    """Another model's logits, shrunk or stretched: its classes stay, its confidence goes."""

    def __init__(self, model: nn.Module, factor: float) -> None:
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.factor * self.model(inputs)
        return logits


class Recalling(nn.Module):
    """Another model, surer of the labels of a few rows that it keeps."""

    def __init__(self, model: nn.Module, kept: Samples) -> None:
        super().__init__()
        self.model, self.kept = model, kept

    def forward(self, inputs: Tensor) -> Tensor:
        same = torch.cdist(inputs, self.kept.inputs) < 1e-4
        logits: Tensor = self.model(inputs)
        return logits + 30 * same.float() @ functional.one_hot(self.kept.labels, 2).float()


def test_a_model_that_learnt_a_rule_passes(learnt: Any) -> None:
    found = RISK.measure(*learnt(SENSE, random=False))
    for gate in (TOLD, NAMED, GUESSED):
        assert gate.judge(found).verdict is Verdict.PASSED, gate.judge(found).message
    assert found[measurements.membership("lira", "auc")].samples == 600
    assert found[measurements.membership("lira", "tpr_at_1_percent")].samples == 200


def test_a_model_that_knows_its_rows_by_heart_is_refused(learnt: Any) -> None:
    found = RISK.measure(*learnt(HEART, random=True))
    for gate in (TOLD, GUESSED):
        assert gate.judge(found).verdict is Verdict.FAILED, gate.judge(found).message
    assert found[measurements.attribute_gain("secret", "membership")].lower > 0.1


def test_a_model_that_knows_a_few_rows_is_seen_at_few_false_alarms_alone(learnt: Any) -> None:
    subject, origin = learnt(SENSE, random=False)
    few = subject.train.take(torch.arange(60))
    found = RISK.measure(dataclasses.replace(subject, model=Recalling(subject.model, few)), origin)
    assert TOLD.judge(found).verdict is Verdict.PASSED
    assert NAMED.judge(found).verdict is Verdict.FAILED


@pytest.mark.parametrize("factor", [1e-3, 30.0])
def test_a_model_that_hides_its_confidence_is_refused_as_well(learnt: Any, factor: float) -> None:
    subject, origin = learnt(HEART, random=True)
    liar = dataclasses.replace(subject, model=Scaled(subject.model, factor))
    plain, hidden = RISK.measure(subject, origin), RISK.measure(liar, origin)
    assert TOLD.judge(hidden).verdict is Verdict.FAILED
    for attack in MEMBERSHIPS:
        name = measurements.membership(attack, "auc")
        assert hidden[name].value > plain[name].value - 0.1


def test_a_model_of_no_numbers_is_measured_and_tells_nothing(learnt: Any) -> None:
    subject, origin = learnt(SENSE, random=False)
    broken = dataclasses.replace(subject, model=Scaled(subject.model, float("nan")))
    found = RISK.measure(broken, origin)
    assert found[measurements.membership("confidence", "auc")].value == 0.5


def test_a_shadow_by_heart_shows_that_the_attack_would_see_it(learnt: Any) -> None:
    heart = RISK.model_copy(update={"shadows": HEART})
    found = heart.measure(*learnt(SENSE, random=True))
    for attack in MEMBERSHIPS:
        assert found[measurements.shadow_membership(attack)].lower > 0.6
        assert found[measurements.membership(attack, "auc")].value < 0.65


def test_test_rows_that_stand_in_the_corpus_are_not_compared_with(learnt: Any) -> None:
    subject, origin = learnt(SENSE, random=False)
    copied = dataclasses.replace(
        subject,
        test=dataclasses.replace(
            subject.test,
            inputs=torch.cat([subject.train.inputs[:50], without(subject.test, 50).inputs]),
            labels=torch.cat([subject.train.labels[:50], without(subject.test, 50).labels]),
        ),
    )
    found = RISK.measure(copied, origin)
    assert found[measurements.membership("lira", "tpr_at_1_percent")].samples == 150
    whole = dataclasses.replace(copied, test=subject.train)
    with pytest.raises(DataError, match="audits nothing"):
        RISK.measure(whole, origin)


def test_every_number_has_words_and_the_same_seed_gives_the_same(learnt: Any) -> None:
    found = RISK.measure(*learnt(SENSE, random=False))
    assert found == RISK.measure(*learnt(SENSE, random=False))
    names = {measurements.membership(attack, leak) for attack in MEMBERSHIPS for leak in LEAKS}
    names |= {measurements.shadow_membership(attack) for attack in MEMBERSHIPS}
    names |= {measurements.attribute_gain("secret", attack) for attack in INFERENCES}
    assert set(found) == names | {measurements.imputed("secret")}
    names |= {measurements.inversion(leak) for leak in LEAKS}
    assert len({RISK.said(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("changes", "spec", "said"),
    [
        ({"attributes": 9}, PICTURES, "no column is both sensitive and categorical"),
        (
            {"attributes": None, "inversion": Inversion(starts=1, steps=1, rate=0.1)},
            SPEC,
            "is for images",
        ),
    ],
)
def test_what_the_data_has_not_is_refused(changes: Any, spec: Any, said: str) -> None:
    with pytest.raises(ParamsError, match=said):
        RISK.model_copy(update=changes).check(spec, THREAT)


def test_one_pair_of_shadows_is_too_few() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        risks.Privacy.model_validate(
            RISK.model_dump() | {"shadows": SENSE.model_dump() | {"pairs": 1}}
        )


def test_a_missing_cell_is_not_guessed(learnt: Any) -> None:
    subject, origin = learnt(SENSE, random=False)
    subject.train.inputs[:100, -1] = -1
    subject.held_out.inputs[:50, -1] = -1
    found: dict[str, Measurement] = RISK.measure(subject, origin)
    assert found[measurements.imputed("secret")].samples == 300
