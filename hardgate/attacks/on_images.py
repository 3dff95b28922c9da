"""What all attacks on images share."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from hardgate.errors import ParamsError
from hardgate.records import InputSpec, Norm, Record
from hardgate.threat import Access, Threat

INSTEAD: dict[Norm, str] = {
    "Linf": "'apgd-t'",
    "L2": "'apgd-t' or 'simba'",
    "L1": "'apgd-t' or 'sparse-rs'",
    "L0": "'pgd' or 'sparse-rs'",
}


class OnImages(Record):
    """An attack on images; ``perturb`` is its members' own."""

    kinds: ClassVar[frozenset[Literal["table", "images"]]] = frozenset({"images"})
    norms: ClassVar[tuple[Norm, ...]] = ("Linf", "L2")
    needs: ClassVar[Access] = "white-box"
    name: str

    @property
    def access(self) -> Literal["white-box", "black-box"]:
        """Whether it follows gradients, or only asks."""
        return "white-box" if self.needs == "white-box" else "black-box"

    def check(self, spec: InputSpec, threat: Threat) -> None:
        """Refuse data or a threat that this attack is not made for, with a ParamsError."""
        if spec.kind not in self.kinds:
            raise ParamsError(
                f"the attack {self.name!r} takes images, the data is a table; "
                "use 'constrained-pgd' and 'constrained-search'"
            )
        if threat.norm not in self.norms:
            raise ParamsError(
                f"{self.name} searches {' and '.join(self.norms)} balls, the threat's norm is "
                f"{threat.norm}; use {INSTEAD[threat.norm]}"
            )

    def scaled(self, factor: float) -> Self:  # noqa: ARG002  these fit themselves to the region
        """Give the same search for ``factor`` times the radius."""
        return self
