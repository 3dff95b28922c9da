from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hardgate import checkpoints
from hardgate.checkpoints import Checkpoint, Journey
from hardgate.errors import IntegrityError
from hardgate.monitors import Epoch

MINE, OTHERS = "a" * 64, "b" * 64


def planted() -> Checkpoint:
    epoch = Epoch(epoch=1, loss=0.5, rate=0.1, eps=1.0, seconds=2.0, evaluated=None)
    return Checkpoint(
        Journey(identity=MINE, history=(epoch,), stopped=None),
        weights={"0.weight": torch.arange(6.0).view(2, 3)},
        best={"0.weight": torch.ones(2, 3)},
        average={"0.weight": torch.full((2, 3), 0.5)},
        optimiser={"0.step": torch.tensor(7.0), "0.exp_avg": torch.zeros(2, 3)},
        starts={"shares": torch.full((4, 2), 0.25, dtype=torch.float16)},
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "run.safetensors"
    checkpoints.save(planted(), path)
    return path


def test_a_checkpoint_comes_back_as_it_was(path: Path) -> None:
    found = checkpoints.load(path, identity=MINE)
    assert found is not None
    assert found.journey == planted().journey
    for part in checkpoints.PARTS:
        ours, theirs = getattr(found, part), getattr(planted(), part)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_no_checkpoint_is_a_fresh_start(tmp_path: Path) -> None:
    assert checkpoints.load(tmp_path / "none", identity=MINE) is None


def test_another_runs_checkpoint_is_ignored(path: Path) -> None:
    assert checkpoints.load(path, identity=OTHERS) is None


def test_nothing_is_left_beside_the_checkpoint(path: Path) -> None:
    checkpoints.save(planted(), path)
    assert [file.name for file in path.parent.iterdir()] == ["run.safetensors"]


@pytest.mark.parametrize("at", [0, 9, 200, -1], ids=["length", "header", "digest", "tensor"])
def test_one_changed_byte_is_refused_and_the_file_named(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"run\.safetensors is a broken checkpoint"):
        checkpoints.load(path, identity=MINE)


@pytest.mark.parametrize("kept", [0, 5, 300], ids=str)
def test_a_truncated_file_is_refused(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(IntegrityError, match=r"run\.safetensors .* delete it"):
        checkpoints.load(path, identity=MINE)


def test_a_safetensors_file_of_somebody_else_is_refused(path: Path) -> None:
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(IntegrityError, match="digest"):
        checkpoints.load(path, identity=MINE)


def test_swapped_tensors_are_refused(path: Path) -> None:
    from safetensors import safe_open

    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors["weights/0.weight"], tensors["best/0.weight"] = (
        tensors["best/0.weight"],
        tensors["weights/0.weight"],
    )
    save_file(tensors, path, metadata)
    with pytest.raises(IntegrityError, match="digest"):
        checkpoints.load(path, identity=MINE)
