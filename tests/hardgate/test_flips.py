"""Counted sample by sample: what the champion keeps and the candidate does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from hardgate import flips, measurements, region, regression
from hardgate.evidence import outcomes
from hardgate.evidence.outcomes import Outcomes
from hardgate.flips import Versus
from hardgate.probes import Evaluation
from hardgate.records import ImageInput
from hardgate.regression import Corpus, Usable
from hardgate.samples import Samples
from hardgate.threat import Threat

EPS = 0.1
PGD = {"name": "pgd", "step_size": 0.05, "steps": 4, "restarts": 1}
SECTION = Evaluation.model_validate(
    {
        "samples": 100,
        "batch_size": 3,
        "attacks": [PGD, {"name": "square", "restarts": 1}],
        "curve": {"factors": [1], "attack": PGD, "samples": 1},
        "diagnostics": 1,
        "price": 1,
    }
)
SPEC = ImageInput(kind="images", shape=(1, 1, 2), classes=("a", "b"), mean=(0.0,), scale=(1.0,))
THREAT = Threat(norm="Linf", eps=EPS, access="white-box", queries=20)
REGION = region.build(THREAT, SPEC)


class Looks(nn.Module):
    """Tells the classes by one of two pixels, at a half."""

    def __init__(self, pixel: int) -> None:
        super().__init__()
        self.pixel = pixel
        self.asked = 0

    def forward(self, images: Tensor) -> Tensor:
        self.asked += len(images)
        score = 20 * (images[:, 0, 0, self.pixel] - 0.5)
        return torch.stack([-score, score], 1)


def split(*pixels: tuple[float, float]) -> Samples:
    """Samples of class 1; a pixel of 0.55 is right and within reach, 0.9 is out of reach."""
    images = torch.tensor(pixels).view(-1, 1, 1, 2)
    count = len(pixels)
    return Samples(images, torch.ones(count, dtype=torch.int64), torch.arange(count))


# Which pixel is sure, near, wrong: for the champion, which looks at 0, and the candidate, at 1.
TEST = split((0.9, 0.9), (0.9, 0.55), (0.55, 0.55), (0.3, 0.55), (0.9, 0.3), (0.55, 0.9))


def answers(model: nn.Module, images: Tensor, labels: Tensor, where=None):
    with torch.no_grad():
        said = model(images).softmax(1).numpy()
    return outcomes.answers(
        images.numpy(),
        predictions=said.argmax(1),
        probabilities=said,
        labels=labels.numpy(),
        known=where,
    )


def outcomes_of(model: nn.Module, pixel: int, *, attacked: Callable[[int], bool]) -> Outcomes:
    where = np.array([attacked(at) for at in range(len(TEST))])
    moved = TEST.inputs.clone()
    moved[:, 0, 0, pixel] -= EPS
    return Outcomes(
        index=np.arange(len(TEST)),
        rows=TEST.rows.numpy(),
        labels=TEST.labels.numpy(),
        clean=answers(model, TEST.inputs, TEST.labels),
        attacks={"pgd": answers(model, moved[where], TEST.labels, where)},
    )


def compared(kept: Corpus | None = None, *, attacked=lambda _: True):
    champion, candidate = Looks(0), Looks(1)
    known = outcomes_of(candidate, 1, attacked=attacked)
    asked = regression.usable(kept or regression.empty(), known, TEST, REGION)
    versus = Versus(candidate, champion, TEST, known, asked, torch.device("cpu"))
    found = flips.under_attack(versus, SECTION, THREAT, REGION, seed=0)
    return found, champion, known


UNDER_ATTACK = measurements.negative_flips("under_attack")


def share(found, name=UNDER_ATTACK):
    return found[name].value * found[name].samples, found[name].samples


def test_only_what_the_champion_keeps_under_attack_can_flip():
    found, _, _ = compared()
    assert share(found) == (2, 6)  # (0.9, 0.55) and (0.9, 0.3); not (0.55, 0.55), which both lose
    assert found[measurements.REGRESSION_INPUTS].value == 0
    assert measurements.regression_error("candidate") not in found


def test_samples_that_were_not_attacked_are_not_compared():
    found, _, _ = compared(attacked=lambda at: at < 3)
    assert share(found) == (1, 3)


def test_the_champion_is_asked_about_lost_samples_alone():
    _, champion, _ = compared(attacked=lambda at: at in (0, 5))  # the candidate keeps both
    assert champion.asked == 0


def kept(known: Outcomes, at: int, pixels: tuple[float, float]) -> Corpus:
    inputs = torch.tensor([pixels]).view(1, 1, 1, 2)
    return Corpus(inputs, TEST.labels[[at]], torch.from_numpy(known.clean.inputs[[at]].copy()))


def test_a_kept_input_reopened_is_a_flip_though_no_attack_of_the_run_found_it():
    known = outcomes_of(Looks(1), 1, attacked=lambda at: at == 0)
    reopened = kept(known, 1, (0.9, 0.46))  # an earlier version's hole at a sample not attacked now
    found, _, _ = compared(reopened, attacked=lambda at: at == 0)
    assert share(found) == (1, 2)
    assert share(found, measurements.regression_error("candidate")) == (1, 1)
    assert share(found, measurements.regression_error("champion")) == (0, 1)


def test_a_hole_that_the_champion_never_closed_does_not_flip():
    known = outcomes_of(Looks(1), 1, attacked=lambda at: at == 0)
    both = kept(known, 2, (0.46, 0.46))
    found, _, _ = compared(both, attacked=lambda at: at == 0)
    assert share(found) == (0, 2)
    assert share(found, measurements.regression_error("champion")) == (1, 1)


def test_clean_flips_are_counted_on_the_whole_test_split():
    _, _, known = compared()
    champion = Looks(0)(TEST.inputs).argmax(1).numpy()
    found = flips.clean(known, champion)[measurements.negative_flips("clean")]
    assert (found.value * found.samples, found.samples) == (1, 6)  # (0.9, 0.3)


def test_against_nobody_nothing_flips_exactly():
    _, _, known = compared(attacked=lambda at: at < 3)
    found = flips.nobody(len(known), int(flips.attacked(known).sum()))
    clean, attacked = (found[measurements.negative_flips(s)] for s in ("clean", "under_attack"))
    assert (clean.upper, clean.samples, clean.interval) == (0, 6, "exact")
    assert (attacked.upper, attacked.samples) == (0, 3)


def test_a_model_does_not_flip_against_itself():
    model = Looks(0)
    known = outcomes_of(model, 0, attacked=lambda _: True)
    nothing = Usable(regression.empty(), torch.empty(0, dtype=torch.int64), 0)
    versus = Versus(model, model, TEST, known, nothing, torch.device("cpu"))
    found = flips.under_attack(versus, SECTION, THREAT, REGION, seed=0)
    assert share(found) == (0, 6)
