"""Fairness agrees with Fairlearn's own numbers, and small groups neither decide nor hide."""

import numpy as np
import pytest
import torch
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    equalized_odds_difference,
    selection_rate,
)
from pydantic import ValidationError
from torch import nn

from hardgate import fairness, groups
from hardgate.errors import ContractError, ParamsError
from hardgate.fairness import Fairness
from hardgate.gates.fairness import FairnessGate
from hardgate.records import Column, TableInput, Verdict


def column(name, type_, categories=(), *, sensitive=True):
    return Column(
        name=name,
        type=type_,
        categories=categories,
        sensitive=sensitive,
        mean=0,
        scale=1,
        low=0,
        high=1,
    )


SPEC = TableInput(
    kind="table",
    columns=(
        column("LIMIT", "real", sensitive=False),
        column("SEX", "categorical", ("man", "woman")),
        column("AGE", "integer"),
    ),
    classes=("paid", "default"),
)
PARAMS = Fairness(positive="default", min_group=50, bins={"AGE": (30, 45)})


def people(samples=2000, seed=0):
    """Inputs, labels and predictions; women are selected more often."""
    generator = np.random.default_rng(seed)
    sex = generator.integers(0, 2, samples)
    inputs = np.stack([generator.normal(size=samples), sex, generator.integers(20, 70, samples)], 1)
    labels = (generator.random(samples) < 0.3).astype(np.int64)
    chance = 0.2 + 0.4 * labels + 0.1 * sex
    predictions = (generator.random(samples) < chance).astype(np.int64)
    return inputs.astype(np.float32), labels, predictions


def measure(inputs, labels, predictions, *, params=PARAMS, spec=SPEC, situation="clean", **more):
    return fairness.measure(
        params,
        spec,
        inputs,
        labels=labels,
        predictions=predictions,
        situation=situation,
        seed=0,
        **more,
    )


def test_differences_are_fairlearns():
    inputs, labels, predictions = people()
    measured = measure(inputs, labels, predictions)
    age = np.digitize(inputs[:, 2], [30, 45])
    for name, grouped in {"SEX": inputs[:, 1], "AGE": age}.items():
        arguments = {"y_true": labels, "y_pred": predictions, "sensitive_features": grouped}
        parity = measured[f"fairness/{name}/clean/demographic_parity_difference"]
        odds = measured[f"fairness/{name}/clean/equalized_odds_difference"]
        assert parity.value == pytest.approx(demographic_parity_difference(**arguments))
        assert odds.value == pytest.approx(equalized_odds_difference(**arguments))


def test_the_interval_is_the_one_fairlearn_takes_minutes_for():
    inputs, labels, predictions = people(samples=400)
    frame = MetricFrame(
        metrics=selection_rate,
        y_true=labels,
        y_pred=predictions,
        sensitive_features=inputs[:, 1],
        n_boot=100,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )
    lower, upper = frame.difference_ci()
    ours = measure(inputs, labels, predictions)["fairness/SEX/clean/demographic_parity_difference"]
    assert ours.lower == pytest.approx(lower, abs=0.03)
    assert ours.upper == pytest.approx(upper, abs=0.03)


def test_every_group_is_reported_with_its_rates():
    inputs, labels, predictions = people()
    measured = measure(inputs, labels, predictions, situation="under_attack")
    women = inputs[:, 1] == 1
    name = "fairness/SEX/under_attack/group/woman"
    accuracy = measured[f"{name}/accuracy"]
    assert accuracy.value == pytest.approx(np.mean(labels[women] == predictions[women]))
    assert accuracy.samples == women.sum()
    assert measured[f"{name}/selection_rate"].value == pytest.approx(predictions[women].mean())
    assert measured[f"{name}/true_positive_rate"].samples == (labels[women] == 1).sum()
    assert {"below 30", "30 to 45", "45 and above"} == {
        key.split("/")[4] for key in measured if key.startswith("fairness/AGE/under_attack/group/")
    }
    assert not any(key.startswith("fairness/LIMIT") for key in measured)


def test_a_small_group_is_marked_and_does_not_decide():
    inputs, labels, predictions = people()
    inputs[:20, 1], predictions[:20] = -1, 1  # twenty of unknown sex, all selected
    measured = measure(inputs, labels, predictions)
    assert measured["fairness/SEX/clean/small_group/missing/selection_rate"].value == 1
    assert measured["fairness/SEX/clean/demographic_parity_difference"].value < 0.2
    assert measured["fairness/SEX/clean/demographic_parity_difference"].samples == 1980
    floor = PARAMS.model_copy(update={"min_group": 20})
    judged = measure(inputs, labels, predictions, params=floor)
    assert judged["fairness/SEX/clean/demographic_parity_difference"].value > 0.6


def test_a_group_with_few_positives_is_not_judged_on_them():
    inputs, labels, predictions = people()
    women = np.flatnonzero(inputs[:, 1] == 1)
    labels[women], predictions[women] = 0, 0
    labels[women[:10]] = 1  # ten positives, all missed: a rate of nothing much
    measured = measure(inputs, labels, predictions)
    assert "fairness/SEX/clean/demographic_parity_difference" in measured
    assert "fairness/SEX/clean/equalized_odds_difference" not in measured
    assert measured["fairness/SEX/clean/small_group/woman/true_positive_rate"].value == 0
    assert measured["fairness/SEX/clean/group/woman/false_positive_rate"].value == 0


def test_one_group_alone_has_no_difference():
    inputs, labels, predictions = people()
    inputs[:, 1] = 0
    measured = measure(inputs, labels, predictions)
    assert "fairness/SEX/clean/demographic_parity_difference" not in measured
    assert "fairness/SEX/clean/group/man/accuracy" in measured


def test_several_classes_ask_about_the_positive_one_and_count_all_mistakes():
    spec = SPEC.model_copy(update={"classes": ("paid", "default", "late")})
    inputs, labels, predictions = people()
    labels[::3] = 2
    measured = measure(inputs, labels, predictions, spec=spec)
    men = inputs[:, 1] == 0
    name = "fairness/SEX/clean/group/man"
    assert measured[f"{name}/accuracy"].value == pytest.approx(
        np.mean(labels[men] == predictions[men])
    )
    assert measured[f"{name}/false_positive_rate"].samples == (labels[men] != 1).sum()


def test_a_missing_number_is_a_group_of_its_own():
    ages = np.array([29, 30, 44.5, 45, np.nan], np.float32)
    inputs = np.stack([ages, ages, ages], axis=1)
    named = groups.of(SPEC, inputs, ["AGE"], {"AGE": (30, 45)})
    assert list(named) == ["below 30", "30 to 45", "30 to 45", "45 and above", "missing"]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"positive": "defualt"}, "'defualt' is no class"),
        ({"intersections": (("SEX", "AEG"),)}, r"'AEG' is no sensitive column.*mean .*AGE"),
        ({"intersections": (("SEX", "LIMIT"),)}, "'LIMIT' is no sensitive column"),
        ({"bins": {}}, r"need edges: \['AGE'\]"),
        ({"bins": {"AGE": (30,), "LIMIT": (1,)}}, r"\['LIMIT'\] are no columns of numbers"),
        ({"bins": {"AGE": (30,), "SEX": (1,)}}, r"\['SEX'\] are no columns of numbers"),
    ],
)
def test_a_section_that_does_not_fit_the_table_is_refused(changes, found):
    with pytest.raises(ParamsError, match=found):
        PARAMS.model_copy(update=changes).check(SPEC)


@pytest.mark.parametrize("edges", [(), (45, 30), (30, 30)])
def test_edges_that_do_not_rise_are_refused(edges):
    with pytest.raises(ValidationError, match="must rise"):
        Fairness(positive="default", min_group=50, bins={"AGE": edges})


@pytest.mark.parametrize(
    "columns", [(("SEX",),), (("SEX", "SEX"),), (("SEX", "AGE"), ("AGE", "SEX"))]
)
def test_an_intersection_of_one_column_or_named_twice_is_refused(columns):
    with pytest.raises(ValidationError, match="intersections"):
        Fairness(positive="default", min_group=50, bins={"AGE": (30,)}, intersections=columns)


def test_an_intersection_has_a_group_for_each_combination():
    inputs, labels, predictions = people()
    measured = measure(inputs, labels, predictions, params=TOGETHER)
    old_women = (inputs[:, 1] == 1) & (inputs[:, 2] >= 45)
    (name,) = (key for key in measured if key.endswith("woman:2c: 45 and above/selection_rate"))
    assert name.startswith("fairness/SEX x AGE/clean/group/")
    assert measured[name].value == pytest.approx(predictions[old_women].mean())
    assert measured[name].samples == old_women.sum()


def test_calibration_compares_what_is_expected_of_groups_with_what_comes():
    inputs, labels, predictions = people()
    women = inputs[:, 1] == 1
    chance = np.where(women, 0.5, 0.3)  # three in ten default, men and women alike
    probabilities = np.stack([1 - chance, chance], axis=1)
    measured = measure(inputs, labels, predictions, probabilities=probabilities)
    gap = {
        name: measured[f"fairness/SEX/clean/group/{name}/calibration_gap"]
        for name in ("man", "woman")
    }
    for name, chosen in {"man": ~women, "woman": women}.items():
        assert gap[name].value == pytest.approx((chance - labels)[chosen].mean())
        assert gap[name].samples == chosen.sum()
    assert gap["woman"].upper - gap["woman"].value == pytest.approx(
        1.96 * (labels[women].std() / women.sum() ** 0.5), rel=0.2
    )
    spread = measured["fairness/SEX/clean/calibration_difference"]
    assert spread.value == pytest.approx(gap["woman"].value - gap["man"].value)
    assert not any("calibration" in key for key in measure(inputs, labels, predictions))


class Treatment(nn.Module):
    """Sees who defaults, but not as sharply among those it treats worse."""

    def __init__(self, worse):
        super().__init__()
        self.worse = worse

    def forward(self, inputs):
        limit, woman, old = inputs[:, 0], inputs[:, 1] == 1, inputs[:, 2] >= 45
        clear = torch.where(self.worse(woman, old), 0.3, 1.5)
        score = 4 * (clear * (limit > 1).float() - 0.5) + limit.sin() / 9
        return torch.stack([-score, score], dim=1)


TOGETHER = PARAMS.model_copy(update={"bins": {"AGE": (45,)}, "intersections": (("SEX", "AGE"),)})
POLICY = [
    FairnessGate(
        kind="fairness",
        column=column,
        difference=difference,
        under_attack=False,
        bound=0.2,
        min_samples=1000,
    )
    for column in ("SEX", "AGE", "SEX x AGE")
    for difference in ("demographic_parity", "equalized_odds", "accuracy", "calibration")
]


def refused(worse, seed):
    """The questions that a model which treats some worse does not pass."""
    generator = np.random.default_rng(seed)
    limit = generator.normal(size=8000)
    sex, age = generator.integers(0, 2, 8000), generator.integers(20, 70, 8000)
    inputs = np.stack([limit, sex, age], axis=1).astype(np.float32)
    labels = (generator.random(8000) < np.where(limit > 1, 0.9, 0.1)).astype(np.int64)
    said = Treatment(worse)(torch.from_numpy(inputs)).softmax(1).numpy()
    found = measure(
        inputs, labels, said.argmax(1), params=TOGETHER, probabilities=said.astype(float)
    )
    return {gate.column for gate in POLICY if gate.judge(found).verdict is not Verdict.PASSED}


@pytest.mark.parametrize("seed", range(2))
def test_a_model_that_treats_women_worse_is_refused(seed):
    assert refused(lambda woman, old: woman, seed) == {"SEX", "SEX x AGE"}


@pytest.mark.parametrize("seed", range(2))
def test_a_model_that_treats_only_combinations_worse_is_refused_by_them_alone(seed):
    assert refused(lambda woman, old: woman == old, seed) == {"SEX x AGE"}


@pytest.mark.parametrize("seed", range(3))
def test_its_twin_that_treats_all_alike_passes(seed):
    assert refused(lambda woman, old: torch.zeros_like(woman), seed) == set()


def test_the_widest_difference_is_that_of_who_is_selected_on_clean_inputs():
    inputs, labels, predictions = people()
    measured = measure(inputs, labels, predictions, params=TOGETHER)
    widest = fairness.widest(measured)
    assert widest == measured["fairness/SEX x AGE/clean/demographic_parity_difference"]
    assert fairness.widest({}) is None


def test_calibration_under_attack_cannot_be_asked():
    with pytest.raises(ValidationError, match="asked of clean inputs"):
        FairnessGate.model_validate(
            POLICY[0].model_dump() | {"difference": "calibration", "under_attack": True}
        )


def test_arrays_of_other_shapes_are_refused():
    inputs, labels, predictions = people(samples=100)
    with pytest.raises(ContractError, match="do not fit 3 columns"):
        measure(inputs[:, :2], labels, predictions)
    with pytest.raises(ContractError, match="do not fit"):
        measure(inputs, labels, predictions[:-1])
