"""Where the arithmetic runs."""

from __future__ import annotations

import torch


def pick() -> torch.device:
    """Pick ``cuda`` when it is there, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
