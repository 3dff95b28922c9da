"""Tensors in files: safetensors, whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from hardgate import files

CAUSE = re.compile(r"\(os error (\d+)\)")


def write(
    tensors: Mapping[str, Tensor], path: Path, *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors to a temporary name beside ``path``, then rename: never half a file.

    Raises
    ------
    OSError
        If the disk does not take them; safetensors itself would hide which error that was.
    """
    plain = {name: tensor.contiguous() for name, tensor in tensors.items()}
    try:
        with files.replacing(path) as temporary:
            save_file(plain, temporary, metadata=dict(metadata) if metadata else None)
    except SafetensorError as error:
        cause = CAUSE.search(str(error))
        if cause is None:
            raise
        number = int(cause[1])
        raise OSError(number, os.strerror(number), str(path)) from error
