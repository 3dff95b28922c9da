from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hardgate import early_stopping, progress, region, training
from hardgate.defenses import Standard
from hardgate.defenses.recipe import Batch
from hardgate.errors import ContractError, IntegrityError, ParamsError
from hardgate.monitors import Evaluated
from hardgate.records import Column, ColumnType, ImageInput, TableInput
from hardgate.region import Region
from hardgate.samples import Samples
from hardgate.threat import Freedom, Threat
from hardgate.training import Fitted, Training

CPU = torch.device("cpu")
COLUMN = {"type": ColumnType.REAL, "mean": 0.0, "scale": 1.0, "low": -3.0, "high": 3.0}
TABLE = TableInput(
    kind="table",
    columns=(Column(name="sturdy", **COLUMN), Column(name="brittle", **COLUMN)),
    classes=("no", "yes"),
)
IMAGES = ImageInput(kind="images", shape=(1, 4, 4), classes=("a", "b"), mean=(0.5,), scale=(0.3,))
THREAT = Threat(
    norm="Linf",
    eps=0.3,
    access="white-box",
    queries=1,
    columns={"sturdy": Freedom(), "brittle": Freedom()},
)
REGION = region.build(THREAT, TABLE)
STANDARD = {"recipe": "standard"}
PGD = {"recipe": "pgd", "step_size": 0.15, "steps": 4}


def section(**changes: Any) -> Training:
    return Training.model_validate(
        {
            "architecture": {"name": "mlp", "hidden": [8], "dropout": 0.1},
            "defense": PGD,
            "optimiser": {"name": "adam", "rate": 0.02, "weight_decay": 0.001, "clip": 1.0},
            "schedule": {"name": "one-cycle"},
            "epochs": 8,
            "batch_size": 64,
            "early_stopping": {
                "every": 1,
                "steps": 4,
                "step_size": 0.15,
                "samples": 100,
                "patience": 20,
                "score": "accuracy",
            },
            "overfitting": {"catastrophic": 0.9, "robust": 0.9, "evaluations": 2},
            **changes,
        }
    )


def rows(n: int, seed: int) -> Samples:
    """One column is right in 85 % and far from its threshold, the other always right and near."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (n,), generator=generator)
    sign = 2.0 * labels - 1
    flips = torch.where(torch.rand(n, generator=generator) < 0.85, 1.0, -1.0)
    return Samples(torch.stack([sign * flips, 0.25 * sign], dim=1), labels, torch.arange(n))


CORPUS, HELD_OUT = rows(500, seed=1), rows(200, seed=2)


def fit(
    params: Training, checkpoint: Path, *, seed: int = 5, around: Region = REGION, **other: Any
) -> Fitted:
    arguments = {"spec": TABLE, "corpus": CORPUS, "held_out": HELD_OUT, "identity": "x", **other}
    return training.fit(
        params, region=around, seed=seed, device=CPU, checkpoint=checkpoint, **arguments
    )


def same_weights(one: Fitted, other: Fitted) -> bool:
    ours, theirs = one.model.state_dict(), other.model.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def scores(fitted: Fitted) -> list[Any]:
    """The history without its times."""
    return [epoch.model_dump(exclude={"seconds"}) for epoch in fitted.history]


class Watching:
    """Notes what progress is told."""

    def __init__(self) -> None:
        self.totals: list[int | None] = []
        self.notes: list[str] = []

    def entered(self, stage: str, *, reused: bool) -> None: ...

    def started(self, step: str, total: int | None) -> None:
        self.totals.append(total)

    def advanced(self, step: str) -> None: ...

    def noted(self, step: str, text: str) -> None:
        self.notes.append(text)

    def finished(self, step: str) -> None: ...


def watched(params: Training, checkpoint: Path, **other: Any) -> tuple[Fitted, Watching]:
    listener = Watching()
    with progress.listening(listener):
        return fit(params, checkpoint, **other), listener


def robust(fitted: Fitted) -> float:
    seen = early_stopping.evaluate(
        section().early_stopping,
        fitted.model,
        REGION,
        early_stopping.Watched(HELD_OUT, HELD_OUT),
        adversarial=True,
        certifies=False,
        device=CPU,
        generator=torch.Generator().manual_seed(0),
    )
    assert seen.robust is not None
    return seen.robust


def test_adversarial_training_gives_up_the_brittle_column(tmp_path: Path) -> None:
    plain = fit(section(defense=STANDARD, epochs=40), tmp_path / "a")
    hardened = fit(section(), tmp_path / "b")
    assert plain.history[-1].evaluated is not None
    assert plain.history[-1].evaluated.clean > 0.95
    assert robust(hardened) > 0.8
    assert robust(plain) < robust(hardened) - 0.3


def test_a_seed_decides_everything_and_another_seed_decides_otherwise(tmp_path: Path) -> None:
    one, two, other = (
        fit(section(epochs=2), tmp_path / name, seed=seed)
        for name, seed in zip("abc", (1, 1, 2), strict=True)
    )
    assert same_weights(one, two)
    assert scores(one) == scores(two)
    assert not same_weights(one, other)


def test_torchs_own_randomness_and_settings_are_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    fit(section(epochs=1), tmp_path / "a")
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()


class Interrupt(Watching):
    """Interrupts the run after some epochs, as Ctrl-C would."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def noted(self, step: str, text: str) -> None:
        super().noted(step, text)
        if len(self.notes) == self.after:
            raise KeyboardInterrupt


def interrupt(params: Training, checkpoint: Path, *, after: int) -> None:
    with pytest.raises(KeyboardInterrupt), progress.listening(Interrupt(after)):
        fit(params, checkpoint)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimiser": {"name": "sgd", "rate": 0.1}, "schedule": {"name": "cosine"}},
        {"defense": {**PGD, "recipe": "trades", "beta": 2.0}, "warmup_epochs": 4},
        {"defense": {"recipe": "crown-ibp", "kappa": 0.2, "beta": 0.5}, "warmup_epochs": 4},
        {"early_stopping": {**section().early_stopping.model_dump(), "every": 3}},
        {"averaging": 0.9},
        {"defense": {**PGD, "recipe": "awp", "weight_step": 0.01}},
        {"defense": {"recipe": "n-fgsm", "step_size": 0.3, "noise": 2}},
        {"defense": {**PGD, "steps": 1, "carry": 3}, "warmup_epochs": 4},
        {"defense": {**PGD, "recipe": "trades", "beta": 2.0}, "averaging": 0.9},
        {"schedule": {"name": "warm-restarts", "cycles": 2}},
    ],
    ids=[
        "adam",
        "sgd",
        "trades with warm-up",
        "crown-ibp with warm-up",
        "every third epoch",
        "averaged weights",
        "moved weights",
        "noise and one step",
        "warm starts",
        "trades with averaged weights",
        "warm restarts of the rate",
    ],
)
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    params = section(**changes)
    whole = fit(params, tmp_path / "whole")
    interrupt(params, tmp_path / "halved", after=3)
    resumed, listener = watched(params, tmp_path / "halved")
    assert listener.totals == [5]
    assert same_weights(whole, resumed)
    assert scores(whole) == scores(resumed)
    assert whole.best_epoch == resumed.best_epoch


def test_a_convolution_with_its_own_layout_resumes_bit_for_bit(tmp_path: Path) -> None:
    params, images = section(architecture={"name": "small-cnn"}, epochs=3), pictures(torch.float32)
    ball = region.build(Threat(norm="Linf", eps=0.1, access="white-box", queries=1), IMAGES)
    keywords = {"around": ball, "spec": IMAGES, "corpus": images, "held_out": images}
    whole = fit(params, tmp_path / "whole", **keywords)
    with pytest.raises(KeyboardInterrupt), progress.listening(Interrupt(1)):
        fit(params, tmp_path / "halved", **keywords)
    assert same_weights(whole, fit(params, tmp_path / "halved", **keywords))


KILLED_IN_EPOCH_7 = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {folder!r})
import test_training as t

class Trap:
    '''A region that kills the process in the middle of epoch 7.'''
    calls = 0
    def __getattr__(self, name):
        return getattr(t.REGION, name)
    def start(self, clean, generator):
        Trap.calls += 1
        # eight batches an epoch, and one more start for what is held out
        if Trap.calls == 6 * 9 + 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return t.REGION.start(clean, generator)

t.fit(t.section(), Path({checkpoint!r}), around=Trap())
"""


def test_a_run_killed_in_epoch_7_goes_on_from_epoch_7(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.safetensors"
    folder = str(Path(__file__).parent)
    script = KILLED_IN_EPOCH_7.format(folder=folder, checkpoint=str(checkpoint))
    path = [str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])]
    killed = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert [file.name for file in tmp_path.iterdir()] == ["run.safetensors"]
    resumed, listener = watched(section(), checkpoint)
    assert listener.totals == [2]
    whole = fit(section(), tmp_path / "whole")
    assert same_weights(whole, resumed)
    assert scores(whole) == scores(resumed)


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = fit(section(epochs=2), tmp_path / "a")
    second, listener = watched(section(epochs=2), tmp_path / "a")
    assert listener.totals == [0]
    assert same_weights(first, second)
    assert second.stopped == "finished"
    assert second.seconds == first.seconds


@pytest.mark.parametrize(
    "other",
    [{"seed": 6}, {"identity": "y"}, {"around": REGION.scaled(2)}, {"params": section(epochs=3)}],
    ids=["seed", "identity", "radius", "params"],
)
def test_a_checkpoint_of_another_run_is_overwritten(tmp_path: Path, other: dict[str, Any]) -> None:
    fit(section(epochs=2), tmp_path / "a")
    changed = {"params": section(epochs=2), "checkpoint": tmp_path / "a", **other}
    fitted, listener = watched(**changed)
    assert listener.totals == [fitted.epochs]


def test_a_broken_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    fit(section(epochs=1), path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(IntegrityError, match=r"run\.safetensors is a broken checkpoint"):
        fit(section(epochs=1), path)


@contextmanager
def planted(monkeypatch: pytest.MonkeyPatch, *robustness: float) -> Iterator[list[Tensor]]:
    """Plant held-out scores, one-step robustness always full; note the weights they are given."""
    seen: list[Tensor] = []

    def evaluate(params: Any, model: torch.nn.Module, *_: Any, **__: Any) -> Evaluated:
        seen.append(model[1].weight.detach().clone())  # type: ignore[index, operator, union-attr]
        return Evaluated(clean=0.9, robust=robustness[len(seen) - 1], one_step=1.0)

    with monkeypatch.context() as patch:
        patch.setattr(early_stopping, "evaluate", evaluate)
        yield seen


@pytest.mark.parametrize(
    ("robustness", "epochs", "reason"),
    [
        ((0.3, 0.5, 0.1), 3, "catastrophic overfitting"),
        ((0.3, 0.5, 0.44, 0.43), 4, "robust overfitting"),
        ((0.3, 0.5, 0.49, 0.49, 0.49), 5, "early stopping"),
        ((0.3, 0.5, 0.49, 0.46, 0.46, 0.4), 5, "early stopping"),
    ],
    ids=["collapse", "decay", "standstill", "slow decay"],
)
def test_overfitting_stops_training_and_brings_the_best_weights_back(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    robustness: tuple[float, ...],
    epochs: int,
    reason: str,
) -> None:
    watching = {**section().early_stopping.model_dump(), "patience": 3}
    limits = {"catastrophic": 0.2, "robust": 0.05, "evaluations": 2}
    with planted(monkeypatch, *robustness) as seen:
        fitted = fit(section(early_stopping=watching, overfitting=limits), tmp_path / "a")
    assert (fitted.epochs, fitted.stopped, fitted.best_epoch) == (epochs, reason, 2)
    assert torch.equal(fitted.model[1].weight, seen[1])  # type: ignore[index]
    assert not torch.equal(seen[1], seen[-1])
    again, listener = watched(section(early_stopping=watching, overfitting=limits), tmp_path / "a")
    assert listener.totals == [0]
    assert same_weights(fitted, again)
    assert again.stopped == reason


def test_the_model_is_the_one_that_scored_best(tmp_path: Path) -> None:
    fitted = fit(section(defense=STANDARD, epochs=4), tmp_path / "a")
    best = fitted.history[fitted.best_epoch - 1].evaluated
    assert best is not None
    assert best.robust is None
    assert best.clean == max(epoch.evaluated.clean for epoch in fitted.history if epoch.evaluated)
    assert not fitted.model.training


def test_averaged_weights_are_the_moving_average_of_every_step() -> None:
    steady = {
        "schedule": {"name": "constant"},
        "batch_size": 500,
        "defense": STANDARD,
        "epochs": 2,
    }
    runs = [
        training.Run(section(**steady, averaging=share), TABLE, REGION, CORPUS, HELD_OUT, 5, CPU)
        for share in (0.0, 0.9)
    ]
    steps = []
    for epoch in (1, 2):
        for run in runs:
            run.train(epoch)
        steps.append({name: value.clone() for name, value in runs[0].judged.state_dict().items()})
    for name, value in runs[1].judged.state_dict().items():
        assert torch.allclose(value, 0.9 * steps[0][name] + 0.1 * steps[1][name], atol=1e-6)
        assert not torch.allclose(value, steps[1][name], atol=1e-6)


def starts_of(run: training.Run) -> Tensor:
    assert run.starts is not None
    return run.starts.shares.clone()


def test_attacks_start_where_they_ended_and_every_few_epochs_anew() -> None:
    # At a rate of next to nothing the weights stay, and so does what each step of an attack does:
    # steps of a hundredth of the radius add up only while starts are carried.
    still = {"optimiser": {"name": "sgd", "rate": 1e-12}, "schedule": {"name": "constant"}}
    creeping = {**PGD, "step_size": 0.003, "steps": 10, "carry": 3}
    params = section(**still, architecture={"name": "mlp", "hidden": [8]}, defense=creeping)
    run = training.Run(params, TABLE, REGION, CORPUS, HELD_OUT, 5, CPU)
    travelled = []
    for epoch in (1, 2, 3, 4):
        before = starts_of(run)
        run.train(epoch)
        travelled.append((starts_of(run) - before).abs().max().item())
    assert travelled[1] == pytest.approx(0.1, abs=0.01)
    assert travelled[2] == pytest.approx(0.1, abs=0.01)
    assert travelled[3] > 0.5


def test_no_starts_are_kept_where_every_attack_draws_its_own() -> None:
    run = training.Run(section(), TABLE, REGION, CORPUS, HELD_OUT, 5, CPU)
    assert run.starts is None
    assert run.checkpoint("a" * 64).starts == {}


def test_a_checkpoint_without_the_starts_is_refused(tmp_path: Path) -> None:
    params = section(defense={**PGD, "carry": 3})
    run = training.Run(params, TABLE, REGION, CORPUS, HELD_OUT, 5, CPU)
    run.train(1)
    saved = replace(run.checkpoint("a" * 64), starts={})
    with pytest.raises(IntegrityError, match=r"starts of shape \(0,\), the corpus has inputs"):
        run.restore(saved, tmp_path / "a")


def test_the_last_epoch_is_always_looked_at(tmp_path: Path) -> None:
    watching = {**section().early_stopping.model_dump(), "every": 5}
    fitted = fit(section(epochs=3, early_stopping=watching), tmp_path / "a")
    assert [epoch.evaluated is None for epoch in fitted.history] == [True, True, False]
    assert fitted.best_epoch == 3


class Spy:
    """A region that notes the factors it was scaled by."""

    def __init__(self) -> None:
        self.factors: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(REGION, name)

    def scaled(self, factor: float) -> Region:
        self.factors.append(factor)
        return REGION.scaled(factor)


def test_the_radius_grows_during_warm_up(tmp_path: Path) -> None:
    spy = Spy()
    fitted = fit(section(epochs=3, warmup_epochs=1.5), tmp_path / "a", around=spy)  # type: ignore[arg-type]
    expected = [(batch + 0.5) / 8 / 1.5 for batch in range(12)]
    assert spy.factors == pytest.approx(expected)
    assert [epoch.eps for epoch in fitted.history] == pytest.approx([1 / 1.5, 1, 1])


def pictures(kind: torch.dtype) -> Samples:
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, 2, (150,), generator=generator)
    pixels = torch.randint(0, 128, (150, 1, 4, 4), generator=generator, dtype=torch.uint8)
    pixels[:, :, 2:] += (100 * labels.view(-1, 1, 1, 1)).to(torch.uint8)
    inputs = pixels if kind == torch.uint8 else pixels.float() / 255
    return Samples(inputs, labels, torch.arange(150))


def test_bytes_train_like_floats_and_are_converted_batch_by_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ball = region.build(Threat(norm="Linf", eps=0.1, access="white-box", queries=1), IMAGES)
    sizes: list[int] = []
    convert = training.as_floats

    def counted(inputs: Tensor) -> Tensor:
        sizes.append(len(inputs))
        return convert(inputs)

    monkeypatch.setattr(training, "as_floats", counted)
    fitted = [
        fit(
            section(epochs=2, architecture={"name": "small-cnn"}),
            tmp_path / str(kind),
            around=ball,
            spec=IMAGES,
            corpus=pictures(kind),
            held_out=pictures(kind),
        )
        for kind in (torch.uint8, torch.float32)
    ]
    assert same_weights(*fitted)
    assert sizes == [64, 64, 22] * 4


def test_progress_tells_the_loss_and_the_scores(tmp_path: Path) -> None:
    _, listener = watched(section(epochs=3), tmp_path / "a")
    assert listener.totals == [3]
    assert len(listener.notes) == 2  # the last epoch ends the loop
    assert "loss " in listener.notes[0]
    assert "robust " in listener.notes[0]


def test_balanced_class_weights_weigh_the_rare_class(tmp_path: Path) -> None:
    params = section(class_weights="balanced")
    labels = torch.tensor([0, 0, 0, 1])
    samples = Samples(torch.zeros(4, 2), labels, torch.arange(4))
    weights = training._weights(params, TABLE, samples)
    assert weights is not None
    assert weights.tolist() == pytest.approx([4 / 6, 4 / 6, 4 / 6, 2.0])
    assert training._weights(section(), TABLE, samples) is None


def test_a_loss_that_is_no_number_ends_training(tmp_path: Path) -> None:
    wild = section(optimiser={"name": "sgd", "rate": 1e30}, schedule={"name": "constant"})
    with pytest.raises(ParamsError, match=r"the loss of epoch 1 is (nan|inf); lower rate"):
        fit(wild, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    nobody = CORPUS.take(torch.tensor([], dtype=torch.long))
    with pytest.raises(ContractError, match="the corpus is empty"):
        fit(section(), tmp_path / "a", corpus=nobody)
    with pytest.raises(ContractError, match="the held-out split is empty"):
        fit(section(), tmp_path / "a", held_out=nobody)


def test_labels_beyond_the_classes_are_refused(tmp_path: Path) -> None:
    strange = Samples(CORPUS.inputs, CORPUS.labels + 1, CORPUS.rows)
    with pytest.raises(ContractError, match="labels from 1 to 2; the input names 2 classes"):
        fit(section(), tmp_path / "a", corpus=strange)


def test_auc_is_for_two_classes(tmp_path: Path) -> None:
    three = TABLE.model_copy(update={"classes": ("a", "b", "c")})
    watching = {**section().early_stopping.model_dump(), "score": "auc"}
    with pytest.raises(ParamsError, match="auc is for two classes and there are 3"):
        fit(section(early_stopping=watching), tmp_path / "a", spec=three)


IBP = {"recipe": "ibp", "kappa": 0.0}


def test_a_certified_recipe_is_watched_by_what_it_proves_and_keeps_the_best(tmp_path: Path) -> None:
    fitted = fit(section(defense=IBP, epochs=6, warmup_epochs=3), tmp_path / "a")
    proven = [epoch.evaluated.certified for epoch in fitted.history if epoch.evaluated]
    assert all(share is not None for share in proven)
    best = fitted.history[fitted.best_epoch - 1].evaluated
    assert best is not None
    assert best.certified == best.deciding == max(share or 0.0 for share in proven) > 0.7


def test_recipes_are_told_how_far_training_and_radius_have_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    original = Standard.loss

    def spy(self: Standard, batch: Batch) -> Any:
        told.append(batch.moment)
        return original(self, batch)

    monkeypatch.setattr(Standard, "loss", spy)
    fit(section(defense=STANDARD, epochs=4, warmup_epochs=2), tmp_path / "a")
    progress_, ramps = [m.progress for m in told], [m.ramp for m in told]
    assert progress_ == sorted(progress_)
    assert 0 < progress_[0] < 0.1 and 0.9 < progress_[-1] < 1
    assert ramps == pytest.approx([min(1.0, 2 * share) for share in progress_])


def test_a_network_that_cannot_be_bounded_is_refused_for_a_certified_recipe() -> None:
    transformer = {"name": "ft-transformer"}
    section(architecture=transformer).check(TABLE)
    with pytest.raises(ParamsError, match="'ibp': layers of kind Tokenizer cannot be bounded"):
        section(architecture=transformer, defense=IBP).check(TABLE)
