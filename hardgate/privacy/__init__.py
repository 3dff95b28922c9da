"""Training with differential privacy: what the weights say of any one row is bounded.

Abadi, Chu, Goodfellow, McMahan, Mironov, Talwar and Zhang (2016), "Deep learning with differential
privacy", arXiv:1607.00133. Read ``section.py`` for what params.yaml says and what it refuses, then
``mechanism.py``: every step draws its rows (``keystream.py``), bounds what each may do
(``clipping.py``) and hides the rest in noise. ``accounting.py`` says what all steps together cost.
What epsilon covers, and what not: docs/decisions/private-training.md.
"""

from __future__ import annotations

from hardgate.privacy.accounting import Spent, measured
from hardgate.privacy.mechanism import Mechanism
from hardgate.privacy.section import Privacy, originals

__all__ = ["Mechanism", "Privacy", "Spent", "measured", "originals"]
