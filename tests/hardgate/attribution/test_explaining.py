from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from hardgate.attribution import explain
from hardgate.attribution.subject import digest
from hardgate.errors import ContractError, ParamsError

CPU = torch.device("cpu")


def run(params, spec, model, train, test, perturb=None, seed=4):
    return explain(
        params, spec, model, train=train, test=test, seed=seed, device=CPU, perturb=perturb
    )


class Rough(nn.Module):
    """Reasons that turn over when an input moves a little."""

    def forward(self, rows):
        log_odds = torch.sin(60 * rows[:, :4].nan_to_num()).sum(dim=1)
        return torch.stack([-log_odds, log_odds], dim=1)


def test_a_table_is_explained_exactly(explaining, table, additive, train, test):
    found = run(explaining, table, additive, train, test)
    effects = additive.effects(found.inputs)
    background = train.inputs[found.background_rows - train.rows[0]]
    expected = effects - additive.effects(background).mean(dim=0)
    assert found.values == pytest.approx(expected.numpy(), abs=1e-5)
    assert found.base + found.values.sum(axis=1) == pytest.approx(found.outputs, abs=1e-5)
    assert found.measurements["explanation/additivity_error"].value < 1e-6
    assert found.measurements["explanation/additivity_error"].interval == "exact"
    assert found.measurements["explanation/second_opinion"].value > 0.7
    assert found.ranking()[0] == "income"
    assert found.importance["children"].value == pytest.approx(0, abs=1e-6)
    assert found.importance["income"].lower > found.importance["age"].upper


def test_images_are_explained_for_the_predicted_class(
    explaining_images, pictures, network, image_train, image_test
):
    found = run(explaining_images, pictures, network, image_train, image_test)
    network.eval()
    assert torch.equal(found.classes, network(found.inputs).argmax(dim=1))
    assert found.values.shape == (12, 1, 8, 8)
    assert len(found.importance) == 16
    assert found.measurements["explanation/additivity_error"].value < 0.01
    assert found.measurements["explanation/rank_stability_noise"].samples == 8
    assert found.measurements["explanation/deletion_faithfulness"].lower > 0


def test_two_runs_of_one_seed_are_identical_and_another_seed_differs(
    explaining, table, additive, train, test, tmp_path
):
    for name, seed in (("first", 4), ("again", 4), ("other", 5)):
        found = run(explaining, table, additive, train, test, seed=seed)
        found.write(tmp_path / name)
        (tmp_path / f"{name}.txt").write_text(str(found.measurements) + str(found.importance))
        found.plot(tmp_path / f"{name}-plots", table)
    plots = sorted((tmp_path / "first-plots").iterdir())
    assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()
    assert (tmp_path / "first.txt").read_text() == (tmp_path / "again.txt").read_text()
    for plot in plots:
        assert plot.read_bytes() == (tmp_path / "again-plots" / plot.name).read_bytes()
    assert (tmp_path / "first").read_bytes() != (tmp_path / "other").read_bytes()


def test_a_planted_rough_model_is_less_stable_than_a_smooth_one(
    explaining, table, additive, train, test
):
    smooth, rough = (
        run(explaining, table, model, train, test).measurements for model in (additive, Rough())
    )
    name = "explanation/rank_stability_noise"
    assert rough[name].upper < smooth[name].lower
    assert rough["explanation/cosine_stability_noise"].upper < 0.5


def test_stability_under_attack_is_measured_on_what_the_attack_moved(
    explaining, table, additive, train, test
):
    def swap_the_first_ten(inputs, labels):
        assert len(labels) == len(inputs) == 30
        inputs[:10, 0] = -inputs[:10, 0]
        return inputs

    found = run(explaining, table, additive, train, test, swap_the_first_ten)
    measured = found.measurements["explanation/rank_stability_attack"]
    moved = ~found.inputs[:10, 0].isnan() & (found.inputs[:10, 0] != 0)
    assert measured.samples == int(moved.sum())
    assert measured.value < 1


def test_without_an_attack_or_with_one_that_moves_nothing_stability_stays_unmeasured(
    explaining, table, additive, train, test
):
    for perturb in (None, lambda inputs, labels: inputs):
        found = run(explaining, table, additive, train, test, perturb)
        assert "explanation/rank_stability_attack" not in found.measurements
        assert "explanation/rank_stability_noise" in found.measurements


def test_an_attack_that_changes_shapes_or_missing_cells_is_refused(
    explaining, table, additive, train, test
):
    with pytest.raises(ContractError, match="must change values only"):
        run(explaining, table, additive, train, test, lambda inputs, labels: inputs[:3])
    with pytest.raises(ContractError, match="must change values only"):
        run(explaining, table, additive, train, test, lambda inputs, labels: inputs.nan_to_num())


def test_a_constant_model_is_explained_by_nothing_and_ranks_nothing(explaining, table, train, test):
    class Constant(nn.Module):
        def forward(self, rows):
            return torch.zeros(len(rows), 2)

    found = run(explaining, table, Constant(), train, test).measurements
    assert found["explanation/additivity_error"].value == 0
    assert found["explanation/rank_stability_noise"].upper == 0
    assert found["explanation/deletion_faithfulness"].upper == 0


def test_logits_that_are_not_finite_are_refused(explaining, table, train, test):
    class Broken(nn.Module):
        def forward(self, rows):
            return torch.stack([rows[:, 0], -rows[:, 0]], dim=1)  # lets missing cells through

    with pytest.raises(ContractError, match="not all finite"):
        run(explaining, table, Broken(), train, test)


def test_a_model_with_one_output_is_refused(explaining, table, train, test):
    with pytest.raises(ContractError, match="2 or more"):
        run(explaining, table, nn.Linear(5, 1), train, test)


def test_the_model_gets_its_modes_and_gradients_back(
    explaining_images, pictures, network, image_train, image_test
):
    network[0].eval()
    network[4].bias.requires_grad_(False)
    run(explaining_images, pictures, network, image_train, image_test)
    assert network.training
    assert not network[0].training
    assert network[3].training
    assert network[0].weight.requires_grad
    assert not network[4].bias.requires_grad
    assert all(weights.grad is None for weights in network.parameters())


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("background", {"background": 81}, "81 asked for, there are 80 samples in the training"),
        ("explained", {"explained": 61}, "61 asked for, there are 60 samples in the test"),
        ("stability", {"stability": 41}, "41 asked for, there are 40 explained"),
        ("reference", {"reference": 41}, "41 asked for, there are 40 explained"),
    ],
)
def test_more_samples_than_there_are_is_refused(
    explaining, table, additive, train, test, key, change, message
):
    with pytest.raises(ParamsError, match=f"explanation.{key}: {message}"):
        run(explaining.model_copy(update=change), table, additive, train, test)


def test_the_background_digest_knows_values_order_and_shape():
    background = torch.arange(6.0).view(2, 3)
    known = digest(background)
    assert known == digest(background.clone())
    for other in (background.flip(0), background.view(3, 2), background + 1e-6):
        assert digest(other) != known


def test_what_is_written_can_be_read_back(explaining, table, additive, train, test, tmp_path):
    found = run(explaining, table, additive, train, test)
    found.write(tmp_path / "deep" / "values.safetensors")
    read = load_file(tmp_path / "deep" / "values.safetensors")
    assert np.array_equal(read["values"].numpy(), found.values)
    assert torch.equal(read["rows"], found.rows)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["values.safetensors"]


@pytest.mark.slow
def test_explaining_without_a_reference_never_imports_shap_nor_pyplot():
    code = "import sys, hardgate.attribution; print({'shap', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
