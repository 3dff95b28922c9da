"""A private run from end to end: what it refuses, records and leaves out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hardgate import candidates, progress, region, training
from hardgate.errors import ContractError, ParamsError
from hardgate.gates.privacy_budget import PrivacyBudgetGate
from hardgate.privacy import originals
from hardgate.records import Column, ColumnType, ImageInput, TableInput, Verdict
from hardgate.samples import Samples
from hardgate.threat import Threat
from hardgate.training import Fitted, Training

IMAGES = ImageInput(kind="images", shape=(1, 8, 8), classes=("a", "b"), mean=(0.4,), scale=(0.2,))
TABLE = TableInput(
    kind="table",
    columns=(Column(name="x", type=ColumnType.REAL, mean=0.0, scale=1.0, low=0.0, high=1.0),),
    classes=("a", "b"),
)
THREAT = Threat(norm="Linf", eps=0.05, access="white-box", queries=1)
KEY = bytes(32)
PRIVACY = {"epsilon": 4.0, "delta": 1e-4, "max_grad_norm": 1.0}
PGD = {"recipe": "pgd", "step_size": 0.03, "steps": 2}


def section(**changes: Any) -> Training:
    return Training.model_validate(
        {
            "architecture": {"name": "mlp", "hidden": [8]},
            "defense": {"recipe": "standard"},
            "privacy": PRIVACY,
            "optimiser": {"name": "sgd", "rate": 1.0},
            "schedule": {"name": "constant"},
            "epochs": 4,
            "batch_size": 200,
            "early_stopping": {
                "every": 1,
                "steps": 2,
                "step_size": 0.03,
                "samples": 100,
                "patience": 1,
                "score": "accuracy",
            },
            "overfitting": {"catastrophic": 0.01, "robust": 0.01, "evaluations": 1},
            **changes,
        }
    )


def pictures(n: int, seed: int) -> Samples:
    """The left half is brighter, or the right."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (n,), generator=generator)
    images = torch.rand(n, 1, 8, 8, generator=generator) * 0.6
    images[labels == 0, :, :, :4] += 0.3
    images[labels == 1, :, :, 4:] += 0.3
    return Samples(images, labels, torch.arange(n))


CORPUS, HELD_OUT = pictures(2000, seed=1), pictures(300, seed=2)


def fit(params: Training, checkpoint: Path, key: bytes | None = KEY, **other: Any) -> Fitted:
    arguments = {"corpus": CORPUS, "held_out": HELD_OUT, **other}
    return training.fit(
        params,
        IMAGES,
        region.build(THREAT, IMAGES),
        seed=3,
        device=torch.device("cpu"),
        checkpoint=checkpoint,
        identity="x",
        key=key,
        **arguments,
    )


def weights(fitted: Fitted) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in fitted.model.parameters()])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    return fit(section(), tmp_path_factory.mktemp("whole") / "c.safetensors")


def test_it_learns_within_its_budget(whole: Fitted):
    assert whole.history[-1].evaluated is not None
    assert whole.history[-1].evaluated.clean > 0.9
    found = {name: one.value for name, one in whole.measurements.items()}
    assert found["privacy/epsilon"] <= 4.0 < 1.02 * found["privacy/epsilon"]
    assert found["privacy/delta"] == 1e-4
    assert found["privacy/steps"] == 40
    assert found["privacy/sampling_rate"] == 0.1
    assert whole.measurements["privacy/epsilon"].samples == 2000


def test_the_gate_takes_the_record_and_nothing_less(whole: Fitted):
    gate = PrivacyBudgetGate(kind="privacy_budget", bound=4.0, delta=1e-4, min_samples=1000)
    assert gate.judge(whole.measurements).verdict is Verdict.PASSED
    assert gate.judge({}).verdict is Verdict.UNMEASURED
    for stricter in ({"bound": 3.9}, {"delta": 1e-5}):
        judged = gate.model_copy(update=stricter).judge(whole.measurements)
        assert judged.verdict is Verdict.FAILED


def test_a_run_that_is_not_private_has_no_epsilon(tmp_path: Path):
    assert fit(section(privacy=None, epochs=1), tmp_path / "c").measurements == {}


class Killing:
    """Interrupts in the middle of an epoch."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise InterruptedError


def test_a_run_that_was_killed_says_the_same_epsilon(
    whole: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patched, pytest.raises(InterruptedError):
        patched.setattr(progress, "heed", Killing(after=25))  # ten steps an epoch
        fit(section(), tmp_path / "c", key=None)
    resumed = fit(section(), tmp_path / "c", key=None)
    assert len(resumed.history) == 4
    assert resumed.measurements == whole.measurements
    assert fit(section(), tmp_path / "c", key=None).measurements == whole.measurements  # finished


def test_noise_repeats_itself_under_a_given_key_only(whole: Fitted, tmp_path: Path):
    again = fit(section(), tmp_path / "a")
    assert torch.equal(weights(again), weights(whole))
    fresh, other = (fit(section(), tmp_path / name, key=None) for name in "bc")
    assert not torch.equal(weights(fresh), weights(other))


def test_nothing_computed_from_rows_is_kept_beside_the_weights(whole: Fitted, tmp_path: Path):
    assert {epoch.loss for epoch in whole.history} == {None}
    assert whole.spec.mean == (0.0,)
    assert whole.spec.scale == (1.0,)
    candidates.save(tmp_path / "model", section().architecture, whole.spec, whole.model)
    loaded = candidates.load(tmp_path / "model", torch.device("cpu"))
    assert torch.equal(loaded(HELD_OUT.inputs), whole.model(HELD_OUT.inputs))


def test_the_last_weights_are_kept_whatever_held_out_rows_say(tmp_path: Path):
    upside_down = Samples(HELD_OUT.inputs, 1 - HELD_OUT.labels, HELD_OUT.rows)
    fitted = fit(section(), tmp_path / "c", held_out=upside_down)  # every epoch is worse
    assert (fitted.best_epoch, fitted.stopped) == (4, "finished")
    assert torch.equal(weights(fitted), weights(fit(section(), tmp_path / "d")))


def test_made_samples_are_left_out(tmp_path: Path):
    made = Samples(CORPUS.inputs[:500], 1 - CORPUS.labels[:500], torch.full((500,), -1))
    both = Samples(
        *(torch.cat([getattr(CORPUS, k), getattr(made, k)]) for k in ("inputs", "labels", "rows"))
    )
    assert len(originals(both)) == 2000
    augmented = fit(section(epochs=1), tmp_path / "c", corpus=both)
    assert torch.equal(weights(augmented), weights(fit(section(epochs=1), tmp_path / "d")))


def test_a_row_that_is_there_twice_is_refused():
    twice = CORPUS.take(torch.tensor([0, 1, 1]))
    with pytest.raises(ContractError, match="twice"):
        originals(twice)


def test_training_against_attacks_can_be_private(tmp_path: Path):
    fitted = fit(section(defense=PGD, averaging=0.8, warmup_epochs=1), tmp_path / "c")
    last = fitted.history[-1].evaluated
    assert last is not None
    assert last.robust is not None
    assert last.robust > 0.8
    assert fitted.measurements["privacy/epsilon"].value <= 4.0


def test_a_checkpoint_holds_no_key_and_no_loss(tmp_path: Path):
    fit(section(epochs=1), tmp_path / "c", key=b"k" * 32)
    content = (tmp_path / "c").read_bytes()
    assert b"k" * 32 not in content
    assert rb"\"loss\":null" in content


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"defense": {"recipe": "trades", "beta": 3.0, "step_size": 0.1, "steps": 2}}, "defense"),
        ({"defense": {"recipe": "ibp", "kappa": 0.5}}, "defense.recipe = 'ibp'"),
        ({"defense": {**PGD, "recipe": "awp", "weight_step": 0.1}}, "defense.recipe = 'awp'"),
        ({"defense": {**PGD, "recipe": "mart", "beta": 1.0}}, "defense.recipe = 'mart'"),
        ({"defense": {**PGD, "carry": 3}}, "defense.carry"),
        ({"class_weights": "balanced"}, "class_weights"),
        ({"start": "champion"}, "start"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_tells_of_rows_past_the_noise_is_refused(changes: dict[str, Any], key: str):
    with pytest.raises(ParamsError, match=rf"^training\.{key}.*not with training\.privacy"):
        section(**changes).check(IMAGES)
    section(**changes, privacy=None).check(IMAGES)


def test_a_table_is_refused():
    with pytest.raises(ParamsError, match=r"^training\.privacy: the data is a table"):
        section().check(TABLE)


def test_a_delta_of_one_row_in_all_is_refused(tmp_path: Path):
    with pytest.raises(ParamsError, match=r"^training\.privacy\.delta = 0\.001.*one row in 2000"):
        fit(section(privacy={**PRIVACY, "delta": 1e-3}), tmp_path / "c")


@pytest.mark.parametrize("key", ["epsilon", "delta", "max_grad_norm"])
def test_numbers_that_decide_have_no_default(key: str):
    with pytest.raises(ValueError, match="Field required"):
        section(privacy={name: value for name, value in PRIVACY.items() if name != key})
    for wrong in (0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=key):
            section(privacy={**PRIVACY, key: wrong})
