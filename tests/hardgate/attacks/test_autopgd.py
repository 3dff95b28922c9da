"""The search behind our own APGD: its schedule, its queue, and closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hardgate.attacks import autopgd, losses
from hardgate.attacks.ascent import margin
from hardgate.region import ImageRegion


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Asked(nn.Module):
    """A linear model of ``classes`` that counts what it is asked."""

    def __init__(self, classes: int = 5, scale: float = 1.0) -> None:
        super().__init__()
        weights = torch.randn(classes, 36, generator=seeded(1)) * scale
        self.weights = nn.Parameter(weights, requires_grad=False)
        self.rows: list[int] = []
        self.backward: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.rows.append(len(images))
        if images.requires_grad:
            images.register_hook(lambda gradient: self.backward.append(len(gradient)))
        return images.flatten(1) @ self.weights.t()


def images(count: int, seed: int = 3) -> Tensor:
    return 0.4 + 0.2 * torch.rand(count, 1, 6, 6, generator=seeded(seed))


def search(
    model: nn.Module, clean: Tensor, *, eps: float, attempts: int = 1, steps: int = 20
) -> tuple[Tensor, Tensor]:
    """Aim at the likeliest wrong classes; give what was found, and the labels."""
    with torch.no_grad():
        logits = model(clean)
    labels = logits.argmax(dim=1)
    found = autopgd.search(
        model,
        clean,
        labels,
        losses.likeliest_wrong(logits, labels, attempts),
        ImageRegion("Linf", eps),
        loss=losses.targeted(logits.shape[1]),
        steps=steps,
        generator=seeded(),
    )
    return found, labels


def test_checkpoints_are_those_of_the_paper() -> None:
    # each period is 0.03 shorter than the last, and at least 0.06
    assert sorted(autopgd.Attempts.checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]


def test_a_step_is_one_forward_and_one_backward_pass() -> None:
    model = Asked()
    search(model, images(7), eps=1e-4, steps=12)
    assert model.rows == [7] + [7] * 13  # the targets' own, and one after the last step
    assert model.backward == [7] * 12


def test_every_target_of_every_image_shares_full_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autopgd, "ROWS", 10)
    model = Asked()
    search(model, images(7), eps=1e-4, attempts=4, steps=3)
    assert model.rows == [7] + [10] * 8 + [8] * 4


def test_images_that_are_broken_leave_the_batch_and_the_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(autopgd, "ROWS", 8)
    model = Asked()
    found, labels = search(model, images(8), eps=0.4, attempts=4, steps=20)
    assert (model(found).argmax(dim=1) != labels).all()
    assert sum(model.rows[1:-1]) < 8 * 20
    model.rows.clear()
    _, _ = search(model, images(8), eps=1e-4, attempts=4, steps=20)
    assert sum(model.rows[1:]) == 8 * 4 * 21


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_the_best_attempt_reaches_the_closed_form(classes: int, norm: str) -> None:
    model, clean = Asked(classes, scale=0.05), images(40)
    logits = model(clean)
    labels = logits.argmax(dim=1)
    gaps = model.weights[labels].unsqueeze(1) - model.weights  # (n, k, d)
    lengths = torch.linalg.vector_norm(gaps, ord=1 if norm == "Linf" else 2, dim=2)
    above = logits.gather(1, labels.unsqueeze(1)) - logits
    eps = float((above / lengths).nan_to_num(torch.inf, torch.inf).amin(dim=1).median())
    region = ImageRegion(norm, eps)
    aims = losses.likeliest_wrong(logits, labels, classes)
    found = autopgd.search(
        model,
        clean,
        labels,
        aims,
        region,
        loss=losses.targeted(classes),
        steps=50,
        generator=seeded(),
    )
    left = above - eps * lengths
    left[torch.arange(40), labels] = torch.inf
    optimum, start = left.amin(dim=1), margin(logits, labels)
    reached = margin(model(found), labels)
    stands = optimum > 0  # the others are left as soon as they are broken
    assert 5 < stands.sum() < 40
    assert (reached >= optimum - 1e-5).all()
    if classes < losses.TARGETED_RATIO_CLASSES:  # the highest ratio is not the lowest margin
        assert ((start - reached) > 0.99 * (start - optimum))[stands].all()
    assert (reached[~stands & (optimum < -1e-5)] < 0).all()


def test_what_is_found_is_the_same_however_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, _ = search(Asked(), images(9), eps=0.02, attempts=3)
    again, _ = search(Asked(), images(9), eps=0.02, attempts=3)
    assert torch.equal(again, expected)


def test_a_model_without_a_graph_leaves_an_attempt_where_it_started() -> None:
    class Cut(Asked):
        def forward(self, inputs: Tensor) -> Tensor:
            return super().forward(inputs.detach())

    clean = images(4)
    found, _ = search(Cut(), clean, eps=1e-3)
    assert ((found - clean).abs() <= 1e-3 + 1e-7).all()
