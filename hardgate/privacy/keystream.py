"""Random numbers that nobody can guess or repeat: a cipher's keystream under a key of the system's.

Whoever knows which rows were drawn, or what noise was added, has no epsilon to trust. A seed in
params.yaml is public, and a Mersenne twister tells its state to who sees enough of it.
Holohan and Braghin (2021), "Secure random sampling in differential privacy", arXiv:2107.10138: the
last bits of a rounded normal number give it away, those of a sum of four do not.
"""

from __future__ import annotations

import os

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray
from torch import Tensor

KEY_BYTES = 32
SUMMED = 4


class Keystream:
    """AES in counter mode. The key is fresh unless given, and kept nowhere; tests give one."""

    def __init__(self, key: bytes | None = None) -> None:
        secret = os.urandom(KEY_BYTES) if key is None else key
        self._cipher = Cipher(algorithms.AES(secret), modes.CTR(bytes(16))).encryptor()

    def uniforms(self, count: int) -> NDArray[np.float64]:
        """Draw numbers strictly between 0 and 1."""
        words = np.frombuffer(self._cipher.update(bytes(8 * count)), dtype="<u8")
        return ((words >> np.uint64(12)).astype(np.float64) + 0.5) / 2.0**52

    def drawn(self, count: int, rate: float) -> Tensor:
        """Draw each of ``count`` positions by itself with chance ``rate``."""
        return torch.from_numpy(np.flatnonzero(self.uniforms(count) < rate))

    def normals(self, count: int) -> Tensor:
        """Draw standard normal numbers, double precision (Box and Muller 1958)."""
        pairs = SUMMED * count // 2
        lengths = np.sqrt(-2 * np.log(self.uniforms(pairs)))
        angles = 2 * np.pi * self.uniforms(pairs)
        both = np.concatenate([lengths * np.cos(angles), lengths * np.sin(angles)])
        return torch.from_numpy(both.reshape(SUMMED, count).sum(0) / SUMMED**0.5)
