"""Networks. To add one: write its file, then name it in the union below.

Read ``inputs.py`` first: every network begins with one of its layers. Then ``small_cnn.py``,
``madry_cnn.py``, ``wide_cnn.py`` and ``oriented_linear.py`` for images, ``mlp.py`` for both,
``residual_mlp.py`` and ``ft_transformer.py`` for tables.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hardgate.architectures.ft_transformer import FTTransformer
from hardgate.architectures.madry_cnn import MadryCNN
from hardgate.architectures.mlp import MLP
from hardgate.architectures.oriented_linear import OrientedLinear
from hardgate.architectures.residual_mlp import ResidualMLP
from hardgate.architectures.small_cnn import SmallCNN
from hardgate.architectures.wide_cnn import WideCNN

Architecture = Annotated[
    SmallCNN | MadryCNN | WideCNN | OrientedLinear | MLP | ResidualMLP | FTTransformer,
    Field(discriminator="name"),
]

__all__ = [
    "MLP",
    "Architecture",
    "FTTransformer",
    "MadryCNN",
    "OrientedLinear",
    "ResidualMLP",
    "SmallCNN",
    "WideCNN",
]
