"""Drift: whether new data are still those that the model was trained for.

Read :mod:`~hardgate.risks.drift.risk` first, then :mod:`~hardgate.risks.drift.newer` (what is new),
:mod:`~hardgate.risks.drift.views` (images as columns), :mod:`~hardgate.risks.drift.effects` (column
by column), :mod:`~hardgate.risks.drift.two_sample` (all at once),
:mod:`~hardgate.risks.drift.label_shift` and :mod:`~hardgate.risks.drift.unlabelled` (by what the
model answers). What can be done about it is in :mod:`hardgate.adaptation`.
"""

from __future__ import annotations

from hardgate.risks.drift.risk import Drift

__all__ = ["Drift"]
