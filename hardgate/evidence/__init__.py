"""What is signed about a model, and how anybody checks it offline, with public keys alone.

Read in this order: :mod:`~hardgate.evidence.statement` (what is said),
:mod:`~hardgate.evidence.outcomes` and :mod:`~hardgate.evidence.merkle` (the per-sample outcomes
behind the numbers), :mod:`~hardgate.evidence.recomputation` (the numbers, made from them again),
:mod:`~hardgate.evidence.keys` and :mod:`~hardgate.evidence.signing` (who says it),
:mod:`~hardgate.evidence.model_signature` (the same bytes for everybody else's verifiers),
:mod:`~hardgate.evidence.verification` (the numbered checks) and
:mod:`~hardgate.evidence.spotcheck` (some of the outcomes, run again).
"""
