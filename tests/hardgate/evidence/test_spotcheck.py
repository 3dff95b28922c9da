from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hardgate.errors import ContractError, IntegrityError
from hardgate.evidence import outcomes, spotcheck


@pytest.fixture
def stored(case: Any) -> outcomes.Stored:
    return outcomes.read(case.ground.outcomes)


@pytest.fixture
def material(case: Any) -> spotcheck.Material:
    return case.ground.spot.material()


def check(
    stored: outcomes.Stored, material: spotcheck.Material, samples: int = 1000, seed: int = 0
) -> spotcheck.SpotReport:
    return spotcheck.spot_check(stored, material, root=stored.tree.root, samples=samples, seed=seed)


def changed(path: Path, name: str, index: int, by: float) -> None:
    tensors = load_file(path)
    tensors[name][index] += by
    save_file(tensors, path)


def rewritten(stored: outcomes.Stored, path: Path, **attack: Any) -> outcomes.Stored:
    """The outcomes with other answers under fgsm, under a root of their own."""
    known = stored.outcomes
    fgsm = replace(known.attacks["fgsm"], **attack)
    return outcomes.write(replace(known, attacks={**known.attacks, "fgsm": fgsm}), path)


def test_honest_outcomes_come_out_the_same(
    stored: outcomes.Stored, material: spotcheck.Material
) -> None:
    report = check(stored, material)
    assert report.problems == ()
    assert (report.samples, report.of, report.answers) == (40, 40, 40 + 40 + 20)
    assert "all 40 outcomes" in spotcheck.meaning(report)


def test_the_seed_chooses_the_samples(
    stored: outcomes.Stored, material: spotcheck.Material, case: Any
) -> None:
    fgsm = stored.outcomes.attacks["fgsm"]
    forged = rewritten(
        stored, case.ground.outcomes, probabilities=(1 - fgsm.probabilities).clip(0, 1)
    )
    problems = [check(forged, material, samples=5, seed=seed).problems for seed in (1, 1, 2)]
    assert problems[0] == problems[1] != problems[2]
    assert len(problems[0]) == 5


def test_a_forged_prediction_is_named(
    stored: outcomes.Stored, material: spotcheck.Material, case: Any
) -> None:
    predictions = stored.outcomes.attacks["fgsm"].predictions.copy()
    predictions[17] ^= 1
    report = check(rewritten(stored, case.ground.outcomes, predictions=predictions), material)
    assert len(report.problems) == 1
    assert "sample 17 (row 51), fgsm: the model answers" in report.problems[0]


def test_a_forged_probability_is_named(
    stored: outcomes.Stored, material: spotcheck.Material, case: Any
) -> None:
    probabilities = stored.outcomes.attacks["fgsm"].probabilities.copy()
    probabilities[3] = abs(probabilities[3] - 0.01)
    report = check(rewritten(stored, case.ground.outcomes, probabilities=probabilities), material)
    assert len(report.problems) == 1
    assert "sample 3 (row 9), fgsm: the model gives the true class" in report.problems[0]


def test_a_class_that_the_model_does_not_know_is_named(
    stored: outcomes.Stored, material: spotcheck.Material, case: Any
) -> None:
    predictions = stored.outcomes.attacks["fgsm"].predictions.copy()
    predictions[0] = 9
    report = check(rewritten(stored, case.ground.outcomes, predictions=predictions), material)
    assert "knows 2 classes" in report.problems[0]


def test_rounding_of_another_machine_is_not_a_forgery(
    stored: outcomes.Stored, material: spotcheck.Material
) -> None:
    noisy = replace(material, predict=lambda inputs: material.predict(inputs) * (1 + 1e-6))
    assert check(stored, noisy).problems == ()


def test_another_model_is_found(stored: outcomes.Stored, material: spotcheck.Material) -> None:
    other = replace(material, predict=lambda inputs: -material.predict(inputs))
    assert len(check(stored, other).problems) > 50


def test_another_stored_input_is_named(
    stored: outcomes.Stored, material: spotcheck.Material
) -> None:
    changed(material.attacked["slow"], "inputs", 5, 1e-6)
    problem = check(stored, material).problems[0]
    assert problem == "sample 5 (row 15), slow: the stored input is not the one in the outcomes"


def test_an_input_outside_of_the_threat_model_is_named(
    stored: outcomes.Stored, material: spotcheck.Material, case: Any
) -> None:
    """A number about another threat model than the signed one proves nothing."""
    path = material.attacked["fgsm"]
    tensors = load_file(path)
    tensors["inputs"][8] = 1 - tensors["inputs"][8]
    save_file(tensors, path)
    inputs = tensors["inputs"]
    labels = stored.outcomes.labels
    probabilities = material.predict(inputs).softmax(1).numpy()
    forged = rewritten(
        stored,
        case.ground.outcomes,
        **vars(
            outcomes.answers(
                inputs.numpy(),
                predictions=probabilities.argmax(1),
                probabilities=probabilities,
                labels=labels,
            )
        ),
    )
    (problem,) = check(forged, material).problems
    assert "sample 8 (row 24), fgsm: the threat model does not admit" in problem


def test_outcomes_that_are_not_under_the_root_are_named(
    stored: outcomes.Stored, material: spotcheck.Material
) -> None:
    report = spotcheck.spot_check(stored, material, root=bytes(32), samples=3, seed=0)
    assert len(report.problems) == 3
    assert "not under the signed Merkle root" in report.problems[0]


@pytest.mark.parametrize("name", ["labels", "rows"])
def test_another_test_split_is_refused(
    stored: outcomes.Stored, material: spotcheck.Material, name: str
) -> None:
    changed(material.test, name, 4, 1)
    with pytest.raises(IntegrityError, match=r"sample 4 .* has another label or row"):
        check(stored, material)


def test_a_test_split_with_fewer_samples_is_refused(
    stored: outcomes.Stored, material: spotcheck.Material
) -> None:
    save_file({name: t[:10] for name, t in load_file(material.test).items()}, material.test)
    with pytest.raises(IntegrityError, match="has 10 samples"):
        check(stored, material)


def test_missing_attacked_inputs_are_refused(
    stored: outcomes.Stored, material: spotcheck.Material
) -> None:
    with pytest.raises(IntegrityError, match="made by slow are not there"):
        check(stored, replace(material, attacked={"fgsm": material.attacked["fgsm"]}))
    path = material.attacked["slow"]
    save_file({name: tensor[:-1] for name, tensor in load_file(path).items()}, path)
    with pytest.raises(IntegrityError, match="does not hold every input"):
        check(stored, material)
    save_file({name: tensor[:0] for name, tensor in load_file(path).items()}, path)
    with pytest.raises(IntegrityError, match="does not hold every input"):
        check(stored, material)
    path.write_bytes(b"\x00" * 20)
    with pytest.raises(IntegrityError, match="cannot be read"):
        check(stored, material)
    path.unlink()
    with pytest.raises(IntegrityError, match="cannot be read"):
        check(stored, material)


def test_only_the_chosen_inputs_of_a_file_are_needed_in_memory(
    stored: outcomes.Stored, material: spotcheck.Material
) -> None:
    report = check(stored, material, samples=1)
    assert report.samples == 1
    assert report.answers in (2, 3)


def test_a_spot_check_of_nothing_is_none(
    stored: outcomes.Stored, material: spotcheck.Material
) -> None:
    with pytest.raises(ContractError, match="no spot check"):
        check(stored, material, samples=0)


def test_attacked_inputs_need_a_position_each(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="one position each"):
        spotcheck.write_attacked(tmp_path / "x", index=torch.arange(2), inputs=torch.zeros(3, 4))
    assert not list(tmp_path.iterdir())


def test_chances_are_those_of_the_arithmetic() -> None:
    assert spotcheck.escape_probability(0.01, 300) == pytest.approx(0.99**300)
    assert spotcheck.escape_probability(1, 1) == 0
    bound = spotcheck.forged_at_most(0.95, 100)
    assert spotcheck.escape_probability(bound, 100) == pytest.approx(0.05)
    for wrong in ((-0.1, 1), (1.1, 1), (0.5, -1)):
        with pytest.raises(ContractError):
            spotcheck.escape_probability(*wrong)


def test_the_bound_on_escaping_holds_when_drawn_without_putting_back() -> None:
    """Forge 3 of 40; 10 random samples miss all of them less often than the bound says."""
    random = np.random.default_rng(0)
    missed = np.mean([not (random.choice(40, 10, replace=False) < 3).any() for _ in range(2000)])
    assert missed < spotcheck.escape_probability(3 / 40, 10)


def test_the_meaning_says_the_chance_in_words() -> None:
    report = spotcheck.SpotReport(samples=200, of=10_000, answers=600, seed=1, problems=())
    assert "probability 0.13" in spotcheck.meaning(report)
    assert "at most 1.5 % of all are" in spotcheck.meaning(report)
