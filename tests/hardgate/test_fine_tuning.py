"""Training that begins with a champion's weights: which ones it takes, and that it repeats."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hardgate import candidates, training
from hardgate.errors import IntegrityError, ParamsError
from hardgate.records import TableInput
from tests.hardgate.test_training import TABLE, fit, same_weights, scores, section, watched


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory, trained for long."""
    room = tmp_path_factory.mktemp("champion")
    fitted = fit(section(), room / "checkpoint", seed=9)
    candidates.save(room / "model", section().architecture, TABLE, fitted.model)
    return room / "model"


def inherited(champion: Path) -> dict[str, Tensor]:
    return candidates.inherit(champion, section().architecture, TABLE)


def test_training_begins_with_the_weights_it_is_given(champion: Path, tmp_path: Path) -> None:
    still = section(optimiser={"name": "sgd", "rate": 1e-12}, epochs=1)
    weights = inherited(champion)
    fitted = fit(still, tmp_path / "checkpoint", start=weights)
    for name, value in fitted.model.state_dict().items():
        assert torch.allclose(value, weights[name], atol=1e-6), name
    assert not same_weights(fitted, fit(still, tmp_path / "other"))


def test_bounds_recipes_keep_the_weights_they_are_given(champion: Path, tmp_path: Path) -> None:
    """From scratch they draw weights of their own."""
    ibp = {"recipe": "ibp", "kappa": 0.5, "stretch": 1.0}
    still = section(defense=ibp, optimiser={"name": "sgd", "rate": 1e-12}, epochs=1)
    weights = inherited(champion)
    fitted = fit(still, tmp_path / "checkpoint", start=weights)
    assert all(
        torch.allclose(value, weights[name], atol=1e-6)
        for name, value in fitted.model.state_dict().items()
    )


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_a_fine_tuning_that_was_interrupted_ends_bit_for_bit_the_same(
    champion: Path, tmp_path: Path, averaging: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, weights = section(averaging=averaging, epochs=4), inherited(champion)
    whole = fit(params, tmp_path / "whole", start=weights)
    epochs = training.Run.train

    def killed(run: training.Run, epoch: int) -> None:
        if epoch == 3:
            raise KeyboardInterrupt
        epochs(run, epoch)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(training.Run, "train", killed)
        fit(params, tmp_path / "halves", start=weights)
    halves, listener = watched(params, tmp_path / "halves", start=weights)
    assert listener.totals[0] == 2, "it did not go on from the second epoch"
    assert same_weights(whole, halves)
    assert scores(whole) == scores(halves)


def test_a_checkpoint_of_another_start_is_not_gone_on_from(champion: Path, tmp_path: Path) -> None:
    params, weights = section(epochs=2), inherited(champion)
    other = {name: value + 0.01 for name, value in weights.items()}
    fit(params, tmp_path / "checkpoint", start=weights)
    for start in (None, other):
        _, listener = watched(params, tmp_path / "checkpoint", start=start)
        assert listener.totals[0] == 2


def test_weights_of_another_architecture_are_refused_in_words(champion: Path) -> None:
    other = section(architecture={"name": "mlp", "hidden": [9]}).architecture
    with pytest.raises(ParamsError, match="the champion is MLP") as refusal:
        candidates.inherit(champion, other, TABLE)
    assert "set training.start to scratch" in str(refusal.value)


def renamed(spec: TableInput) -> TableInput:
    first = spec.columns[0].model_copy(update={"name": "income"})
    return spec.model_copy(update={"columns": (first, *spec.columns[1:])})


@pytest.mark.parametrize(
    "spec",
    [
        renamed(TABLE),
        TABLE.model_copy(update={"classes": ("no", "maybe")}),
        TABLE.model_copy(update={"columns": TABLE.columns[::-1]}),
    ],
    ids=["another column", "another class", "another order"],
)
def test_weights_for_other_inputs_are_refused_in_words(champion: Path, spec: TableInput) -> None:
    with pytest.raises(ParamsError, match="takes other columns"):
        candidates.inherit(champion, section().architecture, spec)


def test_new_statistics_of_the_same_columns_are_no_other_inputs(champion: Path) -> None:
    columns = tuple(c.model_copy(update={"mean": 0.1, "high": 9.0}) for c in TABLE.columns)
    spec = TABLE.model_copy(update={"columns": columns})
    assert candidates.inherit(champion, section().architecture, spec).keys()


def test_weights_that_were_tampered_with_are_refused(champion: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(champion, copy)
    content = (copy / candidates.WEIGHTS).read_bytes()
    (copy / candidates.WEIGHTS).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="has changed"):
        inherited(copy)
