"""Draws from torch's own generators that no other thread comes between.

New weights and dropout take no generator: they draw from the one of the process, and probes run
side by side in threads. Whoever draws there does so within a :class:`Stream`, one at a time.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, ExitStack, nullcontext

import torch
from torch import Tensor, nn

CPU = torch.device("cpu")
_TURN = threading.RLock()


class Stream(AbstractContextManager[None]):
    """A sequence of draws that begins at ``seed`` and goes on where it was left."""

    def __init__(self, seed: int, device: torch.device = CPU) -> None:
        self._devices = [device] if device.type == "cuda" else []
        self._open = ExitStack()
        with _TURN, torch.random.fork_rng(self._devices):
            torch.manual_seed(seed)
            self._states = self._read()

    def __enter__(self) -> None:
        """Wait for the turn, and go on."""
        self._open.enter_context(_TURN)
        self._open.enter_context(torch.random.fork_rng(self._devices))
        torch.set_rng_state(self._states[0])
        for device, state in zip(self._devices, self._states[1:], strict=True):
            torch.cuda.set_rng_state(state, device)

    def __exit__(self, *_: object) -> None:
        """Remember where it was left, and let others draw."""
        self._states = self._read()
        self._open.close()

    def _read(self) -> list[Tensor]:
        return [
            torch.get_rng_state(),
            *(torch.cuda.get_rng_state(device) for device in self._devices),
        ]


def of(model: nn.Module, seed: int, device: torch.device) -> AbstractContextManager[None]:
    """Give what a model in training draws from: nothing, where it has no dropout."""
    draws = any(isinstance(layer, nn.Dropout) and layer.p > 0 for layer in model.modules())
    return Stream(seed, device) if draws else nullcontext()
