"""SHAP values of a model's decisions, and how far they can be relied on.

Read in this order: :mod:`settings` (the params), :mod:`explaining` (the whole way), :mod:`subject`,
:mod:`scores` (what is explained), :mod:`permutation` (tables), :mod:`gradients` (images),
:mod:`features` (what has a rank), :mod:`measuring` and :mod:`trials` (additivity, stability,
deletion), :mod:`reference` (the shap library as referee), :mod:`result`, and the plots.

Two explainers, because two kinds of input. Table rows hold category codes and missing cells, which
have no gradient: their Shapley values come from sampled permutations, exactly additive. Images have
too many pixels to permute and nothing but gradients: expected gradients, additive up to the width
of a step. ``docs/decisions/explainer.md`` has what else was tried, with times and errors.

Lundberg and Lee (2017), "A unified approach to interpreting model predictions", arXiv:1705.07874.
"""

from hardgate.attribution.explaining import explain
from hardgate.attribution.measuring import Perturb
from hardgate.attribution.result import Attributions
from hardgate.attribution.settings import Deleting, Explaining

__all__ = ["Attributions", "Deleting", "Explaining", "Perturb", "explain"]
