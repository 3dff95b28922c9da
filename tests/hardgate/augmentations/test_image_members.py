import numpy as np
import pytest
import torch

from hardgate import region
from hardgate.augmentations import adversarial
from hardgate.augmentations.context import Context
from hardgate.samples import as_floats

PGD = {"name": "pgd", "step_size": 0.1, "steps": 5, "restarts": 1}


def test_corruptions_are_drawn_from_the_names_and_counted(images) -> None:
    _, (tally,) = images.run(
        {"name": "corruption", "share": 0.5, "severities": [2], "names": ["fog", "stripe"]}
    )
    assert set(tally.detail) == {"fog", "stripe"}
    assert sum(tally.detail.values()) == 300
    assert min(tally.detail.values()) > 100


def test_adversarial_images_stay_in_the_ball_and_on_the_grid(images) -> None:
    context = Context(
        images.spec,
        images.threat,
        region.build(images.threat, images.spec),
        lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10)).eval(),
        torch.device("cpu"),
    )
    member = images.section({"name": "adversarial", "share": 1.0, "attack": PGD}).members[0]
    added = member.augment(images.train, context, np.random.default_rng(0))
    order = np.random.default_rng(0).permutation(600)
    clean = images.train.inputs[torch.from_numpy(order)].int()
    assert added.samples.inputs.dtype == torch.uint8
    assert sum(added.dropped.values()) == 0
    moved = (added.samples.inputs.int() - clean).abs().flatten(1).amax(1)
    assert set(moved.tolist()) == {76}, "0.3 * 255 is 76.5: the ball's edge lies just beyond 76"


def test_most_adversarial_images_fool_the_surrogate(images) -> None:
    _, (tally,) = images.run({"name": "adversarial", "share": 0.2, "attack": PGD})
    assert tally.detail["surrogate_error"] > 0.9


@pytest.mark.parametrize("change", [-3.0, -2.999999, -0.4, 0.0, 0.9, 2.999999, 3.0])
def test_rounding_goes_towards_the_clean_pixel(change: float) -> None:
    clean = torch.full((1, 1, 1, 1), 100, dtype=torch.uint8)
    found = as_floats(clean) + change / 255
    stored = adversarial._towards_clean(found, clean)
    assert int(stored) - 100 == int(np.trunc(change * (1 + 1e-5)))
