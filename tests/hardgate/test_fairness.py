"""Fairness agrees with Fairlearn's own numbers, and small groups neither decide nor hide."""

import numpy as np
import pytest
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    equalized_odds_difference,
    selection_rate,
)
from pydantic import ValidationError

from hardgate import fairness, groups
from hardgate.errors import ContractError, ParamsError
from hardgate.fairness import Fairness
from hardgate.records import Column, TableInput


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


def measure(inputs, labels, predictions, *, params=PARAMS, spec=SPEC, situation="clean"):
    return fairness.measure(
        params,
        spec,
        inputs,
        labels=labels,
        predictions=predictions,
        situation=situation,
        seed=0,
    )


def test_differences_are_fairlearns():
    inputs, labels, predictions = people()
    measured = measure(inputs, labels, predictions)
    age = np.digitize(inputs[:, 2], [30, 45])
    for name, groups in {"SEX": inputs[:, 1], "AGE": age}.items():
        arguments = {"y_true": labels, "y_pred": predictions, "sensitive_features": groups}
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


def test_arrays_of_other_shapes_are_refused():
    inputs, labels, predictions = people(samples=100)
    with pytest.raises(ContractError, match="do not fit 3 columns"):
        measure(inputs[:, :2], labels, predictions)
    with pytest.raises(ContractError, match="do not fit"):
        measure(inputs, labels, predictions[:-1])
