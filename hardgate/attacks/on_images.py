"""What all attacks on images share."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from hardgate.errors import ParamsError
from hardgate.records import InputSpec, Record
from hardgate.threat import Access, Threat


class OnImages(Record):
    """An attack on images; ``perturb`` is its members' own."""

    kinds: ClassVar[frozenset[Literal["table", "images"]]] = frozenset({"images"})
    access: ClassVar[Access] = "white-box"
    name: str

    def check(self, spec: InputSpec, threat: Threat) -> None:  # noqa: ARG002  for members
        """Refuse data or a threat that this attack is not made for, with a ParamsError."""
        if spec.kind not in self.kinds:
            raise ParamsError(
                f"the attack {self.name!r} takes images, the data is a table; "
                "use 'constrained-pgd' and 'constrained-search'"
            )

    def scaled(self, factor: float) -> Self:  # noqa: ARG002  these fit themselves to the region
        """Give the same search for ``factor`` times the radius."""
        return self
