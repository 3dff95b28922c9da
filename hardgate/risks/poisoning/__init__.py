"""Poisoning: what somebody put into the training data, and what the candidate learned from it.

Read :mod:`~hardgate.risks.poisoning.section` first: the screens and their settings. Three look at
the data alone: ``labels``, ``neighbours`` and ``sources``; ``activations`` looks at what the
candidate makes of them, ``triggers`` at the candidate alone. Whoever poisons the data also poisons
what learns from them, so the judge of labels is a ``surrogate`` that any rows can be taken out of
in closed form.
"""

from __future__ import annotations

from hardgate.risks.poisoning.section import Poisoning

__all__ = ["Poisoning"]
