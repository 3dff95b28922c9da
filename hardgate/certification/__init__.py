"""Proofs of robustness. What is certified here, no attack within the threat model can break.

Reading order: :mod:`~hardgate.certification.boxes`, :mod:`~hardgate.certification.intervals`
(forward, interval bound propagation), :mod:`~hardgate.certification.relaxations` (backward,
CROWN), :mod:`~hardgate.certification.margins` (from both to a yes or no per sample), and
:mod:`~hardgate.certification.smoothing`, which asks any model with noise.

All shipped architectures can be bounded but the FT-Transformer: attention multiplies what it
reads with what it reads, and the softmax of a box is nearly everything, so that after one block
nothing would be left to certify.
"""

from hardgate.certification.boxes import Box
from hardgate.certification.margins import Method, certify

__all__ = ["Box", "Method", "certify"]
