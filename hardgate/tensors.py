"""Tensors in files: safetensors, whole or not at all; encrypted when they are rows of people."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor

from hardgate import files, protection

CAUSE = re.compile(r"\(os error (\d+)\)")


def write(
    tensors: Mapping[str, Tensor],
    path: Path,
    *,
    metadata: Mapping[str, str] | None = None,
    recipients: Sequence[str] = (),
) -> None:
    """Write tensors to a temporary name beside ``path``, then rename: never half a file.

    When there are ``recipients`` they are encrypted in memory, and only they can read them.

    Raises
    ------
    OSError
        If the disk does not take them; safetensors itself would hide which error that was.
    """
    plain = {name: tensor.contiguous() for name, tensor in tensors.items()}
    if recipients:
        content = save(plain, dict(metadata) if metadata else None)
        files.write_bytes(path, protection.encrypt(content, recipients))
        return
    try:
        with files.replacing(path) as temporary:
            save_file(plain, temporary, metadata=dict(metadata) if metadata else None)
    except SafetensorError as error:
        cause = CAUSE.search(str(error))
        if cause is None:
            raise
        number = int(cause[1])
        raise OSError(number, os.strerror(number), str(path)) from error


def read(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a file: mapped, or decrypted in memory.

    Raises
    ------
    SafetensorError
        If it holds something else.
    """
    if not protection.is_encrypted(path):
        plain: dict[str, Tensor] = load_file(path)
        return plain
    return parse(path.read_bytes(), name=str(path))


def parse(content: bytes, *, name: str) -> dict[str, Tensor]:
    """Read all tensors of a file's bytes, encrypted or not; ``name`` is how messages call it."""
    found: dict[str, Tensor] = load(protection.decrypt(content, name=name))
    return found
