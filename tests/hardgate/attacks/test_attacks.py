"""Contracts that every attack of the union keeps, and closed forms that it must reach."""

from __future__ import annotations

import threading
from typing import get_args

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from scipy.optimize import linprog
from torch import Tensor, nn

from hardgate import region
from hardgate.attacks import Attack
from hardgate.attacks.ascent import ascend, frozen
from hardgate.errors import ParamsError
from hardgate.records import Column, ImageInput, InputSpec, TableInput
from hardgate.region import Region
from hardgate.threat import Threat

SETTINGS: dict[str, dict[str, object]] = {
    "fgsm": {},
    "pgd": {"step_size": 0.05, "steps": 15, "restarts": 2},
    "apgd-ce": {"steps": 15, "restarts": 2},
    "apgd-t": {"steps": 10, "targets": 3},
    "apgd-dlr": {"steps": 15, "restarts": 2},
    "square": {"restarts": 2},
    "sparse-rs": {},
    "rays": {},
    "simba": {},
    "relay": {"queries": 20, "steps": 5, "rounds": 2},
    "cascade": {"rungs": [{"name": "fgsm"}, {"name": "apgd-ce", "steps": 5, "restarts": 1}]},
    "torchattacks-apgd-ce": {"steps": 15, "restarts": 2},
    "torchattacks-apgd-t": {"steps": 10, "targets": 3},
    "torchattacks-square": {"restarts": 2},
    "constrained-pgd": {"step_size": 0.2, "steps": 15, "restarts": 3, "check_every": 5},
    "constrained-search": {"share": 0.5},
    "constrained-relay": {
        "step_size": 0.2,
        "steps": 15,
        "check_every": 5,
        "queries": 20,
        "share": 0.5,
        "rounds": 2,
    },
}
UNION = get_args(get_args(Attack)[0])
IMAGES = ImageInput(
    kind="images", shape=(2, 6, 6), classes=tuple("abcd"), mean=(0.5, 0.5), scale=(0.2, 0.2)
)
QUERIES = 60


EPS = {"Linf": 0.15, "L2": 0.15, "L1": 3.0, "L0": 4.0}  # of images; rows of a table stay at theirs
NORMS = [  # an attack's own first
    ("fgsm", "Linf L2"),
    ("pgd", "Linf L2 L1 L0"),
    ("apgd-ce", "Linf L2 L1"),
    ("apgd-t", "Linf L2 L1"),
    ("apgd-dlr", "Linf L2 L1"),
    ("square", "Linf"),
    ("simba", "L2"),
    ("sparse-rs", "L0 L1"),
    ("rays", "Linf"),
    ("relay", "Linf"),
    ("cascade", "Linf L2"),
    ("torchattacks-apgd-ce", "Linf L2"),
    ("torchattacks-apgd-t", "Linf L2"),
    ("torchattacks-square", "Linf L2"),
    ("constrained-pgd", "Linf L2"),
    ("constrained-search", "Linf L2"),
    ("constrained-relay", "Linf L2"),
]
OWN = {name: norms.split()[0] for name, norms in NORMS}
PAIRS = [(name, norm) for name, norms in NORMS for norm in norms.split()]
REFUSED = [(name, norm) for name, norms in NORMS for norm in EPS if norm not in norms.split()]


def attack(name: str, **changes: object) -> Attack:
    return TypeAdapter(Attack).validate_python({"name": name, **SETTINGS[name], **changes})


def threat(**changes: object) -> Threat:
    plain = {"norm": "Linf", "eps": 0.1, "access": "white-box", "queries": QUERIES}
    return Threat.model_validate({**plain, **changes})


def column(name: str, **changes: object) -> Column:
    plain = {"type": "real", "mean": 0.0, "scale": 1.0, "low": -10.0, "high": 10.0}
    return Column.model_validate({"name": name, **plain, **changes})


TABLE = TableInput(
    kind="table",
    columns=(
        column("a"),
        column("b", scale=100.0, low=-1000.0, high=1000.0),
        column("whole", type="integer", scale=4.0, low=-50.0, high=50.0),
        column("up", scale=0.5),
        column("fixed"),
        column("kind", type="categorical", categories=("x", "y"), low=0.0, high=1.0),
    ),
    classes=("no", "yes"),
)
ROWS_THREAT = threat(
    eps=0.6,
    columns={
        "a": {},
        "b": {"min": -150},
        "whole": {},
        "up": {"direction": "up"},
        "kind": {"to": ["x"]},
    },
    switches=1,
    relations=("a + 0.01 * b <= 1", "whole >= 2 * up"),
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=seeded(seed))


class Victim(nn.Module):
    """A small network with everything that has a mode."""

    def __init__(self, inputs: int, classes: int, scale: Tensor) -> None:
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3)
        )
        self.head = nn.Linear(16, classes)
        with torch.no_grad():
            for index, layer in enumerate((self.body[1], self.head)):
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=seeded(index)) / 3)
                layer.bias.zero_()

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(inputs.nan_to_num() / self.scale))
        return logits


def case(name: str) -> tuple[InputSpec, Threat, Region, nn.Module, Tensor, Tensor]:
    if name.startswith("constrained"):
        scale = torch.tensor([c.scale for c in TABLE.columns])
        model: nn.Module = Victim(6, 2, scale).eval()
        inputs = (random(40, 6) - 0.5) * 4 * scale
        inputs[:, 2] = inputs[:, 2].round()
        inputs[:, 5] = 1
        inputs[::7, 0] = torch.nan
        spec: InputSpec = TABLE
        setting = ROWS_THREAT
    else:
        model = Victim(72, 4, torch.tensor(0.1)).eval()
        inputs, spec = random(40, 2, 6, 6), IMAGES
        setting = threat() if OWN[name] == "Linf" else threat(norm=OWN[name], eps=EPS[OWN[name]])
    labels = model(inputs).argmax(dim=1)
    labels[::10] = (labels[::10] + 1) % len(spec.classes)
    return spec, setting, region.build(setting, spec), model, inputs, labels


@pytest.mark.parametrize("kind", UNION, ids=lambda kind: kind.__name__)
def test_every_member_of_the_union_is_tested(kind: type) -> None:
    assert get_args(kind.model_fields["name"].annotation)[0] in SETTINGS


@pytest.mark.parametrize(("name", "norm"), PAIRS)
def test_results_are_admissible_and_harmful_and_inputs_are_untouched(name: str, norm: str) -> None:
    spec, setting, _, model, inputs, labels = case(name)
    eps = ROWS_THREAT.eps * 1.5 if spec is TABLE else EPS[norm]
    setting = setting.model_copy(update={"norm": norm, "eps": eps})
    allowed = region.build(setting, spec)
    longer = {"step_size": eps / 4} if name == "pgd" else {}
    search = attack(name, **longer)
    search.check(spec, setting)
    before = inputs.clone(), labels.clone()
    found = search.perturb(model, inputs, labels, setting, allowed, generator=seeded())
    assert found.shape == inputs.shape
    assert found.dtype == inputs.dtype
    assert not found.requires_grad
    assert allowed.admits(found, inputs).all()
    torch.testing.assert_close((inputs, labels), before, rtol=0, atol=0, equal_nan=True)
    right, still = ((model(each).argmax(dim=1) == labels).sum().item() for each in (inputs, found))
    assert right == 36
    assert still < right


@pytest.mark.parametrize(("name", "norm"), [p for p in REFUSED if "constrained" not in p[0]])
def test_a_norm_that_an_attack_cannot_search_is_refused_with_a_way_out(
    name: str, norm: str
) -> None:
    with pytest.raises(ParamsError, match=rf"searches .* balls, the threat's norm is {norm}; use"):
        attack(name).check(IMAGES, threat(norm=norm, eps=EPS[norm]))


def test_every_attack_says_which_norms_it_searches() -> None:
    assert set(OWN) == set(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_same_seed_finds_the_same_even_beside_other_draws(name: str) -> None:
    _, setting, allowed, model, inputs, labels = case(name)

    def run(seed: int) -> Tensor:
        return attack(name).perturb(model, inputs, labels, setting, allowed, generator=seeded(seed))

    alone, done = run(3), threading.Event()

    def draw() -> None:
        while not done.is_set():
            torch.rand(7)

    other = threading.Thread(target=draw)
    other.start()
    try:
        torch.testing.assert_close(run(3), alone, rtol=0, atol=0, equal_nan=True)
    finally:
        done.set()
        other.join()


@pytest.mark.parametrize("name", SETTINGS)
def test_the_generator_of_the_process_is_left_alone(name: str) -> None:
    _, setting, allowed, model, inputs, labels = case(name)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    attack(name).perturb(model, inputs, labels, setting, allowed, generator=seeded())
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("name", SETTINGS)
def test_modes_gradients_and_statistics_of_the_model_are_put_back(name: str) -> None:
    _, setting, allowed, model, inputs, labels = case(name)
    model.train()
    next(model.children())[2].eval()  # a frozen batch normalisation in a training model
    model.head.weight.requires_grad_(False)
    modes = [module.training for module in model.modules()]
    flags = [parameter.requires_grad for parameter in model.parameters()]
    state = {key: value.clone() for key, value in model.state_dict().items()}
    attack(name).perturb(model, inputs, labels, setting, allowed, generator=seeded())
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert all(parameter.grad is None for parameter in model.parameters())
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key]), key


@pytest.mark.parametrize("name", SETTINGS)
def test_attacks_see_the_model_in_evaluation_mode(name: str) -> None:
    _, setting, allowed, model, inputs, labels = case(name)
    quiet = attack(name).perturb(model, inputs, labels, setting, allowed, generator=seeded())
    model.train()  # dropout would draw, batch statistics would move
    training = attack(name).perturb(model, inputs, labels, setting, allowed, generator=seeded())
    torch.testing.assert_close(training, quiet, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    "name", ["square", "torchattacks-square", "sparse-rs", "rays", "simba", "constrained-search"]
)
@pytest.mark.parametrize("queries", [7, QUERIES])
def test_a_search_keeps_to_its_budget_of_queries(name: str, queries: int) -> None:
    _, setting, allowed, model, inputs, labels = case(name)
    asked = []

    def count(_: nn.Module, args: tuple[Tensor]) -> None:
        assert not torch.is_grad_enabled() or not args[0].requires_grad
        asked.append(len(args[0]))

    model.register_forward_pre_hook(count)
    setting = setting.model_copy(update={"queries": queries})
    attack(name).perturb(model, inputs, labels, setting, allowed, generator=seeded())
    assert sum(asked) <= queries * len(inputs)
    assert len(asked) > queries * 0.7


def linear(weights: Tensor) -> nn.Module:
    """A binary model whose margin is a weighted sum of its inputs."""
    layer = nn.Linear(weights.numel(), 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.stack([torch.zeros_like(weights), weights]))
    return nn.Sequential(nn.Flatten(), layer)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize(
    "name", ["fgsm", "pgd", "apgd-ce", "apgd-dlr", "apgd-t", "torchattacks-apgd-ce"]
)
def test_attacks_on_images_reach_the_closed_form_on_a_linear_model(name: str, norm: str) -> None:
    weights = torch.randn(72, generator=seeded(1)) / 5
    model = linear(weights)
    inputs = 0.3 + 0.4 * random(500, 2, 6, 6, seed=2)  # far enough from 0 and 1 to be free
    eps = 0.02 if norm == "Linf" else 0.1
    setting = threat(norm=norm, eps=eps)
    allowed = region.build(setting, IMAGES)
    scores = inputs.flatten(1) @ weights
    labels = (scores > 0).long()
    reach = eps * torch.linalg.vector_norm(weights, ord=1 if norm == "Linf" else 2)
    settings = {"fgsm": {}, "apgd-t": {"steps": 40, "targets": 1}}
    search = attack(name, **settings.get(name, {"steps": 40, "restarts": 1}))
    found = search.perturb(model, inputs, labels, setting, allowed, generator=seeded())
    survives = model(found).argmax(dim=1) == labels
    clear = (scores.abs() - reach).abs() > 0.01 * reach  # the rest is rounding
    assert clear.float().mean() > 0.95
    assert 0.05 < survives.float().mean() < 0.95
    assert torch.equal(survives[clear], (scores.abs() > reach)[clear])


@pytest.mark.parametrize("name", ["constrained-pgd", "constrained-search"])
def test_attacks_on_tables_reach_the_closed_form_on_a_linear_model(name: str) -> None:
    spec = TableInput(
        kind="table",
        columns=(column("a"), column("b", scale=100.0, low=-900.0, high=900.0), column("c")),
        classes=("no", "yes"),
    )
    setting = threat(eps=0.5, queries=40, columns={"a": {}, "b": {"direction": "down"}})
    weights = torch.tensor([1.0, 0.02, 3.0])
    inputs = (random(300, 3) - 0.5) * torch.tensor([4, 400, 1.0])
    labels = (inputs @ weights > 0).long()
    found = attack(name).perturb(
        linear(weights), inputs, labels, setting, region.build(setting, spec), generator=seeded()
    )
    down = -0.5 * 1.0 - 50 * 0.02
    expected = torch.where(labels == 1, down, 0.5)  # b cannot rise to help the other way
    torch.testing.assert_close((found - inputs) @ weights, expected, rtol=1e-3, atol=1e-3)


def test_constrained_pgd_reaches_the_optimum_that_linear_programming_finds() -> None:
    names = [f"c{index}" for index in range(6)]
    scales = [1.0, 20.0, 3.0, 1.0, 500.0, 1.0]
    spec = TableInput(
        kind="table",
        columns=tuple(
            column(name, scale=scale, low=-9 * scale, high=9 * scale)
            for name, scale in zip(names, scales, strict=True)
        ),
        classes=("no", "yes"),
    )
    relations = ("20 * c0 + c1 <= 2", "c2 - c3 <= 0.1", "c4 + 100 * c5 <= 50", "c1 >= 4 * c2 - 9")
    setting = threat(eps=0.5, columns={name: {} for name in names}, relations=relations)
    allowed = region.build(setting, spec)
    weights = torch.tensor([0.7, 0.1, -0.4, 1.0, 0.003, 0.2])
    scale = torch.tensor(scales)
    inputs = (random(30, 6, seed=4) - 0.5) * scale
    labels = torch.zeros(30, dtype=torch.long)
    found = attack("constrained-pgd", steps=60, step_size=0.05).perturb(
        linear(weights), inputs, labels, setting, allowed, generator=seeded()
    )
    matrix = np.zeros((4, 6))
    bounds = np.array([relation.bound for relation in setting.inequalities()])
    for row, relation in enumerate(setting.inequalities()):
        for name, weight in relation.weights.items():
            matrix[row, names.index(name)] = weight
    goal, reach = weights.double().numpy(), 0.5 * np.array(scales)
    for clean, moved in zip(inputs.double().numpy(), found.double().numpy(), strict=True):
        kept = matrix @ clean <= bounds  # a relation that the clean row breaks is not demanded
        box = np.stack([clean - reach, clean + reach], axis=1)
        best = -linprog(-goal, A_ub=matrix[kept], b_ub=bounds[kept], bounds=box).fun
        assert (moved - clean) @ goal >= 0.98 * (best - clean @ goal)
        assert moved @ goal <= best + 1e-3


def test_only_survivors_see_another_restart() -> None:
    spec, setting, _, model, inputs, labels = case("pgd")
    allowed = region.build(threat(eps=0.01), spec)
    asked = []
    model.register_forward_pre_hook(lambda _, args: asked.append(len(args[0])))
    attack("pgd", restarts=3).perturb(model, inputs, labels, setting, allowed, generator=seeded())
    assert asked[0] == len(inputs)
    assert min(asked) < len(inputs)


def test_a_model_that_cuts_its_graph_is_attacked_without_an_error() -> None:
    class Cut(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, inputs: Tensor) -> Tensor:
            logits: Tensor = self.inner(inputs.detach())
            return logits

    for name in ("pgd", "apgd-ce", "constrained-pgd"):
        _, setting, allowed, model, inputs, labels = case(name)
        found = attack(name).perturb(
            Cut(model), inputs, labels, setting, allowed, generator=seeded()
        )
        assert allowed.admits(found, inputs).all()


@pytest.mark.parametrize("name", SETTINGS)
def test_the_other_kind_of_data_is_refused_with_a_way_out(name: str) -> None:
    tables = name.startswith("constrained")
    with pytest.raises(ParamsError, match="use 'pgd'" if tables else "use 'constrained-pgd'"):
        attack(name).check(IMAGES if tables else TABLE, threat())


def test_too_few_classes_for_the_librarys_targeted_loss_are_refused_with_a_way_out() -> None:
    name = "torchattacks-apgd-t"
    three = IMAGES.model_copy(update={"classes": ("a", "b", "c")})
    with pytest.raises(ParamsError, match="at least 4 classes, the model has 3; use 'apgd-t'"):
        attack(name).check(three, threat())
    _, setting, allowed, _, inputs, labels = case(name)
    binary = linear(torch.ones(72))
    with pytest.raises(ParamsError, match="the model has 2"):
        attack(name).perturb(binary, inputs, labels % 2, setting, allowed, generator=seeded())


@pytest.mark.parametrize("name", ["apgd-t", "torchattacks-apgd-t"])
def test_more_targets_than_wrong_classes_are_refused(name: str) -> None:
    with pytest.raises(ParamsError, match="5 targets, but only 3 wrong classes"):
        attack(name, targets=5).check(IMAGES, threat())


@pytest.mark.parametrize(
    ("name", "changes", "setting", "message"),
    [
        ("pgd", {"steps": 1}, {}, "1 steps of 0.05 do not reach eps 0.1"),
        ("constrained-pgd", {"steps": 5}, {"eps": 0.6}, "do not cross eps 0.6"),
        (
            "square",
            {"restarts": 4},
            {"queries": 7},
            "7 queries .* too few for 4 restarts; at least 8",
        ),
        ("torchattacks-square", {"restarts": 20}, {}, "60 queries .* restarts; at least 61"),
        ("constrained-search", {}, {"queries": 1}, "at least 2 are needed"),
    ],
)
def test_a_search_too_small_to_mean_anything_is_refused(
    name: str, changes: dict[str, object], setting: dict[str, object], message: str
) -> None:
    spec = TABLE if name.startswith("constrained") else IMAGES
    with pytest.raises(ParamsError, match=message):
        attack(name, **changes).check(spec, threat(**setting))


def test_square_refuses_shapes_that_its_l2_patches_do_not_fit() -> None:
    wide = IMAGES.model_copy(update={"shape": (1, 6, 9)})
    attack("torchattacks-square").check(wide, threat())
    with pytest.raises(ParamsError, match="square images of at least 5 x 5 pixels, not 6 x 9"):
        attack("torchattacks-square").check(wide, threat(norm="L2"))


def test_scaled_attacks_take_steps_in_proportion() -> None:
    for name in ("pgd", "constrained-pgd"):
        assert attack(name).scaled(2).step_size == 2 * attack(name).step_size
    assert attack("square").scaled(2) == attack("square")


def test_ascent_raises_the_loss_and_leaves_no_graph() -> None:
    _, _, allowed, model, inputs, labels = case("pgd")

    def loss(images: Tensor) -> Tensor:
        return nn.functional.cross_entropy(model(images), labels, reduction="none")

    found = ascend(loss, inputs, allowed, step_size=0.03, steps=10, generator=seeded())
    assert not found.requires_grad
    assert allowed.admits(found, inputs).all()
    assert (loss(found) > loss(inputs)).float().mean() > 0.9
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_frozen_model_is_put_back_even_after_an_error() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).train()
    with pytest.raises(RuntimeError, match="on purpose"), frozen(model) as still:
        assert not still[1].training
        raise RuntimeError("on purpose")
    assert model[1].training
    assert model[0].weight.requires_grad
