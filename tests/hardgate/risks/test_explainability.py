"""Reasons that can be relied on pass; a scaffolded model and hidden reliance are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hardgate import measurements
from hardgate.attribution import manifold, scores
from hardgate.errors import ParamsError
from hardgate.gates.explanation_sanity import ExplanationSanityGate
from hardgate.gates.off_manifold import OffManifoldGate
from hardgate.gates.reliance import RelianceGate
from hardgate.records import Column, ColumnType, ImageInput, TableInput, Verdict
from hardgate.risks import Explainability, proxies
from hardgate.threat import Threat
from hardgate.training import Training


def column(name: str, *, sensitive: bool = False) -> Column:
    return Column(
        name=name, type=ColumnType.REAL, sensitive=sensitive, mean=0, scale=1, low=-9, high=9
    )


# ``b`` follows ``a`` closely: a mixture of two rows shows by breaking that.
SPEC = TableInput(
    kind="table",
    columns=(column("a"), column("b"), column("who", sensitive=True), column("proxy")),
    classes=("no", "yes"),
)
THREAT = Threat(norm="Linf", eps=0.1, access="white-box", queries=9, columns={"a": {}})
RISK = Explainability(name="explainability", samples=60, background=20, neighbours=3)
TRAINING = Training.model_validate(
    {
        "architecture": {"name": "mlp", "hidden": [8]},
        "defense": {"recipe": "standard"},
        "optimiser": {"name": "adam", "rate": 0.01},
        "schedule": {"name": "constant"},
        "epochs": 2,
        "batch_size": 64,
        "early_stopping": {
            "every": 2,
            "steps": 1,
            "step_size": 0.1,
            "samples": 50,
            "patience": 9,
            "score": "accuracy",
        },
        "overfitting": {"catastrophic": 0.9, "robust": 0.9, "evaluations": 9},
    }
)


def rows() -> Tensor:
    draws = torch.Generator().manual_seed(3)
    a, who, noise, other = torch.randn(4, 3000, generator=draws)
    return torch.stack([a, a + 0.05 * noise, who, who + 0.5 * other], dim=1)


class Weighing(nn.Module):
    """Weighs columns."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.weights = torch.tensor(weights)

    def forward(self, inputs: Tensor) -> Tensor:
        score = inputs @ self.weights
        return torch.stack([-score, score], dim=1)


class Scaffold(nn.Module):
    """Decides by ``who`` on rows like the data, and by ``a`` on everything that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.real, self.shown = Weighing(0, 0, 2.0, 0), Weighing(1.0, 1.0, 0, 0)

    def forward(self, inputs: Tensor) -> Tensor:
        real = (inputs[:, 0] - inputs[:, 1]).abs() < 0.6
        return torch.where(real[:, None], self.real(inputs), self.shown(inputs))


@pytest.fixture
def measured(subject_of: Any, origin_of: Any) -> Callable[..., dict[str, Any]]:
    def measure(model: nn.Module, risk: Explainability = RISK) -> dict[str, Any]:
        inputs = rows()
        subject = subject_of(model, SPEC, THREAT, inputs, (inputs[:, 0] > 0).long())
        return risk.measure(subject, origin_of(TRAINING, subject))

    return measure


def test_a_plain_model_weighs_columns_alike_on_rows_and_mixtures(measured: Any) -> None:
    found = measured(Weighing(1.0, 0.5, 0.2, 0.1))
    gate = OffManifoldGate(kind="off_manifold", bound=0.3, min_samples=50)
    assert gate.judge(found).verdict is Verdict.PASSED
    assert found[measurements.explainability("seeds")].lower > 0.5
    sanity = ExplanationSanityGate(kind="explanation_sanity", bound=0.9, min_samples=50)
    assert sanity.judge(found).verdict is Verdict.PASSED


def test_a_scaffolded_model_is_found(measured: Any) -> None:
    found = measured(Scaffold())
    gate = OffManifoldGate(kind="off_manifold", bound=0.3, min_samples=50)
    assert gate.judge(found).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("weights", "verdict"),
    [
        ((1.0, 1.0, 0.0, 0.0), Verdict.PASSED),
        ((0.2, 0.2, 1.0, 0.0), Verdict.FAILED),
        ((0.2, 0.2, 0.0, 1.0), Verdict.FAILED),  # by proxy alone
    ],
)
def test_reliance_on_a_sensitive_column_and_on_its_proxy_is_found(
    measured: Any, weights: tuple[float, ...], verdict: Verdict
) -> None:
    gate = RelianceGate(kind="reliance", column="who", bound=0.4, min_samples=50)
    assert gate.judge(measured(Weighing(*weights))).verdict is verdict


def test_reliance_on_one_column_is_what_it_tells() -> None:
    inputs = rows().numpy()
    tells = proxies.tells(SPEC, inputs)["who"]
    assert tells[2] == 1
    assert tells[3] == pytest.approx(0.8, abs=0.07)  # 1 / (1 + 0.25) of the variance
    assert tells[:2].max() < 0.1


def test_weights_of_a_linear_score_are_the_same_everywhere() -> None:
    inputs = rows()
    near, far, moved = manifold.weights(
        scores.of(Weighing(1.0, 0, 0.5, 0), torch.device("cpu")),
        SPEC,
        inputs[:40],
        torch.ones(40, dtype=torch.long),
        inputs[40:],
        neighbours=4,
        seed=1,
    )
    np.testing.assert_allclose(near, far, atol=1e-4)
    # the log-odds of two logits apart by twice the score
    np.testing.assert_allclose(near[:, [0, 2]], moved[:, [0, 2]] * [2.0, 1.0], rtol=1e-3, atol=1e-4)


def test_two_trainings_are_held_together(measured: Any) -> None:
    risk = RISK.model_copy(update={"retrain_epochs": 2})
    found = measured(Weighing(1.0, 0.5, 0.2, 0.1), risk)
    assert 0.3 < found[measurements.explainability("retrains")].value <= 1
    assert len({risk.said(name) for name in found}) == len(found)


def test_keys_of_the_other_kind_of_data_are_refused() -> None:
    images = ImageInput(
        kind="images", shape=(1, 8, 8), classes=("a", "b"), mean=(0.5,), scale=(0.2,)
    )
    with pytest.raises(ParamsError, match="neighbours: not for images"):
        RISK.check(images, THREAT)
    with pytest.raises(ParamsError, match="region: not for a table"):
        RISK.model_copy(update={"region": 2}).check(SPEC, THREAT)
    with pytest.raises(ParamsError, match="neighbours: a table need it"):
        RISK.model_copy(update={"neighbours": None}).check(SPEC, THREAT)
