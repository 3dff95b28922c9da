"""Where the arithmetic runs, and on how many threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from hardgate.records import InputSpec, TableInput


def pick() -> torch.device:
    """Pick ``cuda`` when it is there, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def threads_for(spec: InputSpec) -> AbstractContextManager[None]:
    """Use one thread for rows of a table, all of them for images.

    Small matrices gain nothing from a second thread. On a busy machine they lose: two threads that
    wait for each other took a hundred times as long as one.
    """
    return one_thread() if isinstance(spec, TableInput) else nullcontext()


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread for the length of the block, and leave the rest to others."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
