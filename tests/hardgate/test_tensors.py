"""Tensors are written whole or not at all, and a disk that takes no more is called that."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hardgate import tensors


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Have the kernel refuse to let any file grow beyond ``size`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "below" / "file.safetensors"
    turned = torch.arange(6.0).reshape(2, 3).T  # not contiguous
    tensors.write({"a": turned}, path, metadata={"who": "test"})
    assert torch.equal(load_file(path)["a"], turned)
    assert [file.name for file in path.parent.iterdir()] == ["file.safetensors"]


def test_a_full_disk_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    tensors.write({"a": torch.zeros(3)}, path)
    with files_at_most(10_000), pytest.raises(OSError, match="File too large") as raised:
        tensors.write({"a": torch.zeros(100_000)}, path)
    assert raised.value.errno == errno.EFBIG
    assert raised.value.filename == str(path)
    assert len(load_file(path)["a"]) == 3
    assert [file.name for file in tmp_path.iterdir()] == ["file.safetensors"]


def test_a_folder_in_the_files_place_is_an_error_of_the_disk_too(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match=os.strerror(errno.EISDIR)):
        tensors.write({"a": torch.zeros(3)}, tmp_path / "file")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
