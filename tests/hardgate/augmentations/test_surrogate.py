import pytest
import torch
from pydantic import ValidationError

from hardgate import region
from hardgate.augmentations import surrogate
from hardgate.augmentations.surrogate import Surrogate

PARAMS = {
    "architecture": {"name": "mlp", "hidden": [16]},
    "optimiser": {"name": "adam", "rate": 0.02},
    "epochs": 5,
    "batch_size": 64,
    "samples": 400,
}


def train(world, **changes) -> torch.nn.Module:
    params = Surrogate.model_validate({**PARAMS, **changes})
    built = region.build(world.threat, world.spec)
    return surrogate.train(
        params, world.spec, built, world.train, seed=0, device=torch.device("cpu")
    )


def test_a_surrogate_knows_more_than_chance_and_is_in_evaluation_mode(images) -> None:
    model = train(images, samples=600)
    assert not any(module.training for module in model.modules())
    with torch.no_grad():
        right = model(images.train.floats()).argmax(1) == images.train.labels
    assert float(right.float().mean()) > 0.7


def test_the_same_seed_trains_the_same_surrogate(table) -> None:
    first, again = train(table), train(table)
    for ours, theirs in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_surrogate_is_trained_by_the_standard_recipe(table) -> None:
    params = Surrogate.model_validate(PARAMS)
    section = params.training(region.build(table.threat, table.spec))
    assert section.defense.recipe == "standard" and section.epochs == 5


def test_few_samples_are_enough(table) -> None:
    train(table, samples=3, epochs=1)


def test_a_surrogate_has_no_recipe_to_choose(table) -> None:
    with pytest.raises(ValidationError, match="defense"):
        Surrogate.model_validate({**PARAMS, "defense": {"recipe": "pgd"}})
