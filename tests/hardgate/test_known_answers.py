from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from hardgate import known_answers, measurements
from hardgate.attacks import Attack, autopgd, losses
from hardgate.errors import ParamsError
from hardgate.records import Column, ImageInput, TableInput
from hardgate.threat import Threat

STRONG: dict[str, dict[str, Any]] = {
    "fgsm": {},
    "pgd": {"step_size": 0.05, "steps": 40, "restarts": 1},
    "apgd-ce": {"steps": 40, "restarts": 1},
    "apgd-dlr": {"steps": 40, "restarts": 1},
    "apgd-t": {"steps": 40, "targets": 1},
    "square": {"restarts": 1},
    "rays": {},
    "simba": {},
    "torchattacks-apgd-ce": {"steps": 40, "restarts": 1},
    "torchattacks-apgd-t": {"steps": 40, "targets": 3},
    "torchattacks-square": {"restarts": 1},
    "constrained-pgd": {"step_size": 0.1, "steps": 40, "restarts": 2, "check_every": 5},
    "constrained-search": {"share": 0.5},
    "constrained-relay": {
        "step_size": 0.1,
        "steps": 40,
        "check_every": 5,
        "queries": 50,
        "share": 0.5,
        "rounds": 2,
    },
}
ENOUGH = {"white-box": 0.99, "black-box": 0.9}  # as the policies in params.yaml ask
# of 500 queries
TOO_BLIND = {("torchattacks-square", "L2"), ("torchattacks-square", "Linf")}
ONE_NORM = {"rays": "Linf", "square": "Linf", "simba": "L2"}


def images(classes: int) -> ImageInput:
    names = tuple("abcdefghij"[:classes])
    return ImageInput(kind="images", shape=(3, 9, 9), classes=names, mean=(0,) * 3, scale=(1,) * 3)


TABLE = TableInput(
    kind="table",
    columns=(Column(name="x", type="real", mean=0, scale=2, low=-6, high=6),),
    classes=("no", "yes"),
)


def attack(name: str, **changes: object) -> Attack:
    return TypeAdapter(Attack).validate_python({"name": name, **STRONG[name], **changes})


def threat(norm: str = "Linf", **changes: Any) -> Threat:
    plain = {"norm": norm, "eps": 0.3, "access": "white-box", "queries": 500}
    return Threat.model_validate({**plain, **changes})


def reached(search: Attack, *, norm: str = "Linf", classes: int = 4) -> float:
    spec = TABLE if search.name.startswith("constrained") else images(classes)
    found = known_answers.measure([search], spec, threat(norm))
    return found[measurements.known_answer(search.name)].value


SPARSE: list[tuple[str, str, dict[str, Any]]] = [
    ("pgd", "L1", {"step_size": 0.5}),
    ("pgd", "L0", {"step_size": 30}),
    ("apgd-ce", "L1", {}),
    ("apgd-dlr", "L1", {}),
    ("apgd-t", "L1", {}),
    ("sparse-rs", "L1", {}),
    ("sparse-rs", "L0", {}),
]


@pytest.mark.parametrize(("name", "norm", "settings"), SPARSE)
def test_attacks_reach_enough_of_the_optimum_where_few_pixels_change(
    name: str, norm: str, settings: dict[str, Any]
) -> None:
    plain = {"name": name, **STRONG.get(name, {}), **settings}
    search = TypeAdapter(Attack).validate_python(plain)
    found = known_answers.measure([search], images(4), threat(norm, eps=3))
    assert found[measurements.known_answer(name)].value >= ENOUGH[search.access]


def test_steps_that_cannot_replace_a_pixel_are_detected() -> None:
    """The projection keeps the largest changes: small steps never get past a random start."""
    weak = attack("pgd", step_size=0.5)
    found = known_answers.measure([weak], images(4), threat("L0", eps=3))
    assert found["known_answer/pgd"].value < 0.5


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("name", STRONG)
def test_attacks_reach_enough_of_the_optimum_and_those_that_do_not_are_known(
    name: str, norm: str
) -> None:
    search = attack(name)
    if ONE_NORM.get(name, norm) != norm:
        with pytest.raises(ParamsError, match=f"{name} searches {ONE_NORM[name]} balls"):
            search.check(images(4), threat(norm))
        return
    assert (reached(search, norm=norm) >= ENOUGH[search.access]) == ((name, norm) not in TOO_BLIND)


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("name", ["apgd-ce", "apgd-dlr", "apgd-t", "square"])
def test_our_own_reach_it_with_any_number_of_classes(name: str, classes: int) -> None:
    search = attack(name)
    assert reached(search, classes=classes) >= ENOUGH[search.access]


def test_a_ladder_is_measured_rung_by_rung() -> None:
    ladder = TypeAdapter(Attack).validate_python(
        {"name": "cascade", "rungs": [{"name": "fgsm"}, {"name": "apgd-ce", **STRONG["apgd-ce"]}]}
    )
    found = known_answers.measure([ladder], images(4), threat())
    weakest = "known_answer/weakest/white-box"
    assert set(found) == {"known_answer/fgsm", "known_answer/apgd-ce", weakest}
    assert found[weakest].value == 0.99


def test_the_weakest_is_named_by_its_access() -> None:
    weak = attack("pgd", step_size=0.01)
    found = known_answers.measure([attack("apgd-ce"), weak, attack("square")], images(4), threat())
    assert found["known_answer/weakest/white-box"] == found["known_answer/pgd"]
    assert found["known_answer/weakest/black-box"] == found["known_answer/square"]


def no_step(search: Attack) -> Attack:
    return search.model_copy(update={"step_size": 0.0})


def too_small(search: Attack) -> Attack:
    return search.model_copy(update={"step_size": 0.01, "steps": 40})  # reaches 0.4 of 0.6


@pytest.mark.parametrize(("breakage", "most"), [(no_step, 0.5), (too_small, 0.95)])
def test_a_broken_step_is_detected(breakage: Callable[[Attack], Attack], most: float) -> None:
    assert reached(breakage(attack("pgd"))) <= most
    assert reached(attack("pgd")) == 0.99


def upside_down(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    return -losses.cross_entropy(logits, labels, targets)


def without_label(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    return losses.cross_entropy(logits, torch.zeros_like(labels), targets)


def flat(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    return 0 * logits.sum(dim=1)


@pytest.mark.parametrize("loss", [upside_down, without_label, flat])
def test_a_broken_loss_is_detected(monkeypatch: pytest.MonkeyPatch, loss: losses.Loss) -> None:
    real = autopgd.search

    def search(*arguments: Any, **settings: Any) -> Tensor:
        return real(*arguments, **{**settings, "loss": loss})

    monkeypatch.setattr(autopgd, "search", search)
    assert reached(attack("apgd-ce")) < 0.5


def test_a_target_that_is_not_aimed_at_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    def anywhere(logits: Tensor, labels: Tensor, count: int) -> Tensor:
        return torch.full((len(labels), count), 3)  # a class that is never in play

    monkeypatch.setattr(losses, "likeliest_wrong", anywhere)
    assert reached(attack("apgd-t", targets=1)) < ENOUGH["white-box"]


def test_asking_again_gives_the_same() -> None:
    first, again = (
        known_answers.measure([attack("square")], images(4), threat()) for _ in range(2)
    )
    assert first == again


def test_categories_that_a_threat_switches_are_not_looked_for_in_what_is_planted() -> None:
    switching = threat(one_hot=[{"columns": ["north", "south"], "to": ["south"]}], switches=1)
    search = attack("constrained-pgd")
    found = known_answers.measure([search], TABLE, switching)
    assert found == known_answers.measure([search], TABLE, threat())
