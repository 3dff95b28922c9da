from __future__ import annotations

import torch

from hardgate.attribution import scores


def test_log_odds_are_those_of_the_softmax():
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([0, 1, 2, 3, 0, 1])
    chance = torch.softmax(logits.double(), dim=1).gather(1, classes[:, None]).squeeze(1)
    torch.testing.assert_close(scores.log_odds(logits, classes), torch.log(chance / (1 - chance)))


def test_log_odds_of_two_classes_are_the_difference_of_logits_however_large():
    logits = torch.tensor([[0.0, 1.0], [500.0, -500.0]])
    found = scores.log_odds(logits, torch.tensor([1, 1]))
    assert found.tolist() == [1.0, -1000.0]


def test_the_background_is_scored_for_every_samples_own_class(network, image_train):
    network.eval()
    background = image_train.floats()
    classes = torch.tensor([2, 0, 2])
    with torch.no_grad():
        logits = network(background)
    found = scores.crossed(scores.of(network, torch.device("cpu")), background, classes)
    for row, chosen in zip(found, classes, strict=True):
        expected = scores.log_odds(logits, chosen.expand(len(background)))
        torch.testing.assert_close(row, expected)
