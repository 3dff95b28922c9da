"""Reweighing makes label and group independent, and what is trained so selects groups alike."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from hardgate import region, reweighing, training
from hardgate.errors import ParamsError
from hardgate.records import Column, ImageInput, TableInput
from hardgate.reweighing import GroupWeights
from hardgate.samples import Samples
from hardgate.threat import Threat
from hardgate.training import Training


def column(name, type_, categories=()):
    return Column(name=name, type=type_, categories=categories, mean=0, scale=1, low=0, high=1)


SPEC = TableInput(
    kind="table",
    columns=(
        column("INCOME", "real"),
        column("SEX", "categorical", ("man", "woman")),
        column("AGE", "integer"),
    ),
    classes=("paid", "default"),
)
IMAGES = ImageInput(kind="images", shape=(1, 4, 4), classes=("0", "1"), mean=(0,), scale=(1,))
THREAT = Threat(norm="Linf", eps=0.1, access="white-box", queries=9, columns={"INCOME": {}})
BY_SEX = GroupWeights(columns=("SEX",))


def people(samples=3000, seed=0):
    """Incomes are alike, but women were said to default more often."""
    generator = np.random.default_rng(seed)
    sex = generator.integers(0, 2, samples)
    income = generator.normal(size=samples)
    poor = generator.random(samples) < 1 / (1 + np.exp(3 * income))
    labels = np.where(sex & (generator.random(samples) < 0.5), 1, poor)
    inputs = np.stack([income, sex, generator.integers(20, 70, samples)], axis=1)
    rows = torch.arange(samples)
    return Samples(torch.from_numpy(inputs).float(), torch.from_numpy(labels).long(), rows)


@pytest.mark.parametrize("columns", [("SEX",), ("SEX", "AGE")])
def test_weighed_labels_are_as_frequent_in_every_group(columns):
    samples = people()
    bins = {"AGE": (30, 45)} if "AGE" in columns else {}
    weights = GroupWeights(columns=columns, bins=bins).of(SPEC, samples).numpy()
    labels, sex, age = samples.labels.numpy(), *samples.inputs.numpy()[:, 1:].T
    assert weights.mean() == pytest.approx(1)
    assert np.average(labels, weights=weights) == pytest.approx(labels.mean(), abs=1e-5)
    for of_sex in (0, 1):
        for low, high in ((0, 30), (30, 45), (45, 99)) if bins else ((0, 99),):
            some = (sex == of_sex) & (age >= low) & (age < high)
            share = np.average(labels[some], weights=weights[some])
            assert share == pytest.approx(labels.mean(), abs=1e-5)
            assert weights[some].sum() == pytest.approx(some.sum(), rel=1e-5)


def test_a_weight_is_the_papers():
    rows = [[0, 0, 30]] * 3 + [[0, 1, 30]] * 2
    samples = Samples(torch.tensor(rows).float(), torch.tensor([1, 0, 0, 1, 1]), torch.arange(5))
    weights = BY_SEX.of(SPEC, samples)
    man_paid, man_default, woman_default = 3 * 2 / 5 / 2, 3 * 3 / 5 / 1, 2 * 3 / 5 / 2
    expected = [man_default, man_paid, man_paid, woman_default, woman_default]
    assert weights.tolist() == pytest.approx(expected)


def section(**changes):
    return Training.model_validate(
        {
            "architecture": {"name": "mlp", "hidden": [16]},
            "defense": {"recipe": "pgd", "step_size": 0.05, "steps": 2},
            "optimiser": {"name": "adam", "rate": 0.02},
            "schedule": {"name": "one-cycle"},
            "epochs": 4,
            "batch_size": 100,
            "early_stopping": {
                "every": 4,
                "steps": 1,
                "step_size": 0.1,
                "samples": 100,
                "patience": 5,
                "score": "auc",
            },
            "overfitting": {"catastrophic": 0.9, "robust": 0.9, "evaluations": 5},
            **changes,
        }
    )


def test_what_is_trained_with_weights_selects_men_and_women_alike(tmp_path):
    corpus, unseen = people(1500), people(seed=1)

    def spread(**changes):
        fitted = training.fit(
            section(**changes),
            SPEC,
            region.build(THREAT, SPEC),
            corpus,
            unseen,
            seed=0,
            device=torch.device("cpu"),
            checkpoint=tmp_path / "checkpoint",
            identity=str(changes),
        )
        with torch.no_grad():
            selected = fitted.model(unseen.inputs).argmax(1).float()
        women = unseen.inputs[:, 1] == 1
        return abs(selected[women].mean() - selected[~women].mean()).item()

    unfair = spread()
    assert unfair > 0.2
    assert spread(group_weights=BY_SEX) < unfair / 3


def test_class_and_group_weights_multiply():
    samples = people(200)
    by_group = training._weights(section(group_weights=BY_SEX), SPEC, samples)
    by_class = training._weights(section(class_weights="balanced"), SPEC, samples)
    both = section(class_weights="balanced", group_weights=BY_SEX)
    assert torch.allclose(training._weights(both, SPEC, samples), by_group * by_class)


@pytest.mark.parametrize(
    ("weights", "spec", "found"),
    [
        ({"columns": ["SXE"]}, SPEC, "'SXE' is no column.*mean .*SEX"),
        ({"columns": ["AGE"]}, SPEC, r"training.group_weights.bins: .* need edges: \['AGE'\]"),
        ({"columns": ["SEX"], "bins": {"AGE": [30]}}, SPEC, r"\['AGE'\] are no columns of num"),
        ({"columns": ["SEX"]}, IMAGES, "is for tables"),
    ],
)
def test_weights_that_do_not_fit_the_data_are_refused(weights, spec, found):
    with pytest.raises(ParamsError, match=found):
        section(group_weights=weights).check(spec)


@pytest.mark.parametrize(
    "weights", [{"columns": []}, {"columns": ["SEX", "SEX"]}, {"columns": ["A"], "bins": {"A": []}}]
)
def test_a_section_that_makes_no_sense_is_refused(weights):
    with pytest.raises(ValidationError, match=r"columns|bins"):
        reweighing.GroupWeights.model_validate(weights)
