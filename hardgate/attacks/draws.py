"""Draws of an attack's own, for a library that only knows the process's one random generator.

Attacks run in several threads at once. Drawn from the one generator, their numbers would depend on
who comes first, and no result could be repeated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

SEEDS = 2**31 - 1


@contextmanager
def own_draws(generator: torch.Generator) -> Iterator[int]:
    """Redirect this thread's draws to generators seeded from ``generator``; give the seed.

    The process's generator, which the block may reseed, is put back as it was.
    """
    seed = int(torch.randint(SEEDS, (1,), generator=generator, device=generator.device))
    with _RESEEDING, _Redirection(seed):
        yield seed


class _Redirection(TorchFunctionMode):
    """Adds a generator to every call that draws. In force in its own thread only."""

    drawing = frozenset({torch.rand, torch.randn, Tensor.uniform_, Tensor.normal_})

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.generators: dict[torch.device, torch.Generator] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func in self.drawing:
            on = args[0].device if isinstance(args[0], Tensor) else torch.device("cpu")
            if on not in self.generators:
                self.generators[on] = torch.Generator(on).manual_seed(self.seed)
            named["generator"] = self.generators[on]
        return func(*args, **named)


class _Reseeding:
    """Put the process's generator back once the last of several concurrent attacks is done."""

    def __init__(self) -> None:
        self.lock, self.inside = threading.Lock(), 0
        self.before: tuple[Tensor, list[Tensor]] = (torch.empty(0), [])

    def __enter__(self) -> None:
        with self.lock:
            if self.inside == 0:
                cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
                self.before = (torch.get_rng_state(), cuda)
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                torch.set_rng_state(self.before[0])
                if self.before[1]:
                    torch.cuda.set_rng_state_all(self.before[1])


_RESEEDING = _Reseeding()
