"""What params.yaml says of privacy, and what goes with it.

Epsilon speaks of the weights and of nothing beside them, so whatever else of the training rows
would reach the model is refused or replaced: statistics of pixels, class weights, made samples that
are copies of a row, weights of an earlier version, the choice of the best epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field, PositiveFloat

from hardgate.errors import ContractError, ParamsError
from hardgate.privacy import clipping
from hardgate.records import ImageInput, InputSpec, Record
from hardgate.samples import Samples

if TYPE_CHECKING:
    from hardgate.training import Training


class Privacy(Record):
    """A budget for the whole training, and how far one row may pull a step.

    ``epsilon`` bounds how much likelier any outcome is made by any one row, as a logarithm, but
    for a chance of ``delta``. The noise that keeps the budget is found from it.
    """

    epsilon: PositiveFloat
    delta: Annotated[float, Field(gt=0, lt=1)]
    max_grad_norm: PositiveFloat

    def check(self, training: Training, spec: InputSpec) -> None:
        """Refuse what would tell of rows past the noise, with a ParamsError that names the key."""
        recipe = training.defense.recipe
        refused = {
            f"defense.recipe = {recipe!r}": (
                not training.defense.by_row,
                "its loss is none of single rows; choose standard, pgd, fgsm-rs or n-fgsm",
            ),
            "defense.carry": (
                training.defense.carries > 1,
                "what an attack carries on of a row would be saved with the weights; set it to 0",
            ),
            "class_weights = 'balanced'": (
                training.class_weights != "none",
                "they are counted from the labels; set it to none",
            ),
            "start = 'champion'": (
                training.start != "scratch",
                "its weights may know the rows already; set it to scratch",
            ),
        }
        for key, (wrong, why) in refused.items():
            if wrong:
                raise ParamsError(f"training.{key}: not with training.privacy: {why}")
        if not isinstance(spec, ImageInput):
            raise ParamsError(
                "training.privacy: the data is a table, and its columns' means and ranges, which "
                "no noise hides, are part of the model; remove it"
            )
        if (kind := clipping.obstacle(training.untrained(spec))) is not None:
            raise ParamsError(
                f"training.architecture.name = {training.architecture.name!r}: rows cannot be told "
                f"apart in a layer of kind {kind}, as training.privacy needs; choose small-cnn, "
                "madry-cnn, wide-cnn, oriented-linear or mlp"
            )

    def public(self, spec: InputSpec) -> InputSpec:
        """Give the inputs without what was computed from rows: pixels go in as they are."""
        if not isinstance(spec, ImageInput):
            raise ContractError("only images can do without statistics of their own")
        channels = spec.shape[0]
        return spec.model_copy(update={"mean": (0.0,) * channels, "scale": (1.0,) * channels})

    def check_rows(self, corpus: Samples) -> None:
        """Refuse a delta that would let one row be told outright."""
        if self.delta * len(corpus) >= 1:
            raise ParamsError(
                f"training.privacy.delta = {self.delta:g}: publishing one row in {len(corpus)} "
                f"would keep it; set it well below {1 / len(corpus):.2g}"
            )


def originals(corpus: Samples) -> Samples:
    """Leave out what augmentation made: a row and its likenesses would be counted as many.

    Raises
    ------
    ContractError
        If a row of the raw file is there twice.
    """
    own = corpus.take(torch.nonzero(corpus.rows >= 0).flatten())
    if len(torch.unique(own.rows)) < len(own):
        raise ContractError("the corpus holds a row of the raw file twice; epsilon counts it once")
    return own
