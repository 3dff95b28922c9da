"""The params section of the explanation stage."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from hardgate.attacks import Attack
from hardgate.errors import ParamsError
from hardgate.records import Record


class Deleting(Record):
    """The deletion trial: at how many shares, beside how many random orders, on what background."""

    steps: PositiveInt
    orders: PositiveInt
    background: PositiveInt  # the first ones of the whole background


class Explaining(Record):
    """What is explained, against what, and how attributions are put to trial."""

    background: PositiveInt  # training samples that stand for an absent feature
    explained: PositiveInt  # test samples
    path_steps: PositiveInt  # points per path of expected gradients: images' additivity hangs on it
    region: PositiveInt | None = None  # images only: side of a region in pixels
    noise: Annotated[float, Field(gt=0)]  # standard deviation, in the unit of the threat's eps
    stability: PositiveInt  # how many of the explained are explained again after a change
    attack: Attack | None = None  # the change that is no accident; without it that is unmeasured
    deletion: Deleting
    reference: NonNegativeInt  # how many are explained by the shap library too; 0 leaves it out

    def check(self, *, train: int, test: int) -> None:
        """Refuse to explain or to change more samples than there are, with a ParamsError."""
        for key, asked, there, what in (
            ("background", self.background, train, "samples in the training split"),
            ("explained", self.explained, test, "samples in the test split"),
            ("stability", self.stability, self.explained, "explained samples"),
            ("reference", self.reference, self.explained, "explained samples"),
            ("deletion.background", self.deletion.background, self.background, "in background"),
        ):
            if asked > there:
                raise ParamsError(
                    f"explanation.{key}: {asked} asked for, there are {there} {what}; "
                    f"give at most {there}"
                )
