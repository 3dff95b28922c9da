from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch

from hardgate import candidates, provenance
from hardgate.architectures import MLP, SmallCNN
from hardgate.errors import IntegrityError
from hardgate.records import Column, ColumnType, ImageInput, TableInput

CPU = torch.device("cpu")
TABLE = TableInput(
    kind="table",
    columns=(Column(name="x", type=ColumnType.REAL, mean=0, scale=1, low=-1, high=1),),
    classes=("no", "yes"),
)
IMAGES = ImageInput(kind="images", shape=(1, 8, 8), classes=("a", "b"), mean=(0.1,), scale=(0.3,))
CNN = SmallCNN(name="small-cnn", channels=4, hidden=5)
PERCEPTRON = MLP(name="mlp", hidden=(3,))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    candidates.save(directory, CNN, IMAGES, candidates.build(CNN, IMAGES))
    return directory


def test_a_model_comes_back_bit_for_bit_in_evaluation_mode(tmp_path: Path) -> None:
    model = candidates.build(CNN, IMAGES)
    candidates.save(tmp_path, CNN, IMAGES, model)
    images = torch.rand(4, 1, 8, 8)
    loaded = candidates.load(tmp_path, CPU)
    assert torch.equal(loaded(images), model(images))
    assert not loaded.training
    assert candidates.read_spec(tmp_path) == IMAGES


def test_the_same_model_is_the_same_bytes(tmp_path: Path) -> None:
    model = candidates.build(PERCEPTRON, TABLE)
    for name in ("one", "two"):
        candidates.save(tmp_path / name, PERCEPTRON, TABLE, model)
    assert provenance.sha256_tree(tmp_path / "one") == provenance.sha256_tree(tmp_path / "two")
    assert sorted(file.name for file in (tmp_path / "one").iterdir()) == [
        "architecture.json",
        "weights.safetensors",
    ]


def test_convolutions_are_laid_out_with_channels_last(directory: Path) -> None:
    convolution = candidates.load(directory, CPU)[5]
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last)


def test_weights_are_counted() -> None:
    assert candidates.count(candidates.build(PERCEPTRON, TABLE)) == 2 * 3 + 3 + 3 * 2 + 2


@pytest.mark.parametrize("name", ["weights.safetensors", "architecture.json"])
def test_a_missing_file_is_named(directory: Path, name: str) -> None:
    (directory / name).unlink()
    with pytest.raises(IntegrityError, match=f"{name} is missing"):
        candidates.load(directory, CPU)


def test_one_changed_byte_of_the_weights_is_refused(directory: Path) -> None:
    path = directory / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"weights\.safetensors has changed"):
        candidates.load(directory, CPU)


def forge(directory: Path, content: bytes) -> None:
    """Put other weights in, with a description that vouches for them."""
    (directory / "weights.safetensors").write_bytes(content)
    path = directory / "architecture.json"
    described = json.loads(path.read_text())
    described["weights_sha256"] = provenance.sha256_bytes(content)
    path.write_text(json.dumps(described))


def test_a_pickle_is_refused_and_never_run(directory: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (directory / "sprung",))  # type: ignore[return-value]

    forge(directory, pickle.dumps(Trap()))
    with pytest.raises(IntegrityError, match="not a safetensors file"):
        candidates.load(directory, CPU)
    assert not (directory / "sprung").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("10.bias"), "lacks weight '10.bias'"),
        (lambda w: w.update(trojan=torch.zeros(1)), "has an unknown weight 'trojan'"),
        (
            lambda w: w.update({"10.bias": torch.zeros(3)}),
            r"'10.bias' is torch.float32 of shape \(3",
        ),
        (lambda w: w.update({"10.bias": torch.zeros(2).double()}), "'10.bias' is torch.float64"),
        (lambda w: w.update({"10.bias": torch.tensor([0, torch.nan])}), "'10.bias' is not finite"),
    ],
    ids=["missing", "unknown", "shape", "kind", "NaN"],
)
def test_weights_that_do_not_fit_are_refused(directory: Path, change, message: str) -> None:
    from safetensors.torch import load_file, save

    weights = load_file(directory / "weights.safetensors")
    change(weights)
    forge(directory, save(weights))
    with pytest.raises(IntegrityError, match=message):
        candidates.load(directory, CPU)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": {"name": "os.system"}}, "not a valid Blueprint: architecture"),
        ({"schema_version": 2}, "not a valid Blueprint: schema_version"),
        ({"code": "import os"}, "not a valid Blueprint: code"),
        ({"architecture": {"name": "residual-mlp"}}, "describes no network"),
    ],
    ids=["unknown name", "another version", "unknown key", "another kind"],
)
def test_a_description_that_does_not_fit_is_refused(
    directory: Path, change: dict[str, object], message: str
) -> None:
    path = directory / "architecture.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(IntegrityError, match=message):
        candidates.load(directory, CPU)
