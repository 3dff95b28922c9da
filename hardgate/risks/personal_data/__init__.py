"""Personal data: what in the table points at people, and what the model could do without.

Read :mod:`~.scanning` first (columns with names, addresses, cards and accounts), with
:mod:`~.recognisers`, :mod:`~.people`, :mod:`~.places` and :mod:`~.headers` for what it looks for;
then :mod:`~.anonymity` (who stands out by the columns that others may know) and :mod:`~.needless`
(columns that the model does not use).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from hardgate import measurements, statistics
from hardgate.errors import ParamsError
from hardgate.records import InputSpec, Measurement, Record, TableInput
from hardgate.risks.personal_data import anonymity, needless
from hardgate.subject import Origin, Subject
from hardgate.threat import Threat

AtLeastTwo = Annotated[int, Field(ge=2)]


class PersonalData(Record):
    """Names, addresses, cards and accounts in the table; rows that stand out; needless columns.

    Of each column ``values`` different values are shown to each recogniser.
    ``quasi_identifiers`` are columns that others may know of a person: rows that agree in all of
    them are a class, which should hold ``k`` rows and ``l`` different labels; both are needed when
    columns are named. Columns are needless when shuffling them all, ``shuffles`` times, costs
    the model no more than ``tolerance``.
    """

    title: ClassVar[str] = "Personal data"

    name: Literal["personal-data"]
    values: PositiveInt
    quasi_identifiers: tuple[str, ...] = ()
    k: AtLeastTwo | None = None
    l: AtLeastTwo | None = None  # noqa: E741  its name in the literature
    shuffles: PositiveInt
    tolerance: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _k_and_l_go_with_columns(self) -> Self:
        if len(set(self.quasi_identifiers)) < len(self.quasi_identifiers):
            raise ValueError("quasi_identifiers names a column twice")
        given = [self.k is not None, self.l is not None]
        if given != [bool(self.quasi_identifiers)] * 2:
            raise ValueError("quasi_identifiers, k and l are given together, or none of them")
        return self

    def check(self, spec: InputSpec, threat: Threat) -> None:  # noqa: ARG002  as all
        """Refuse images: a manifest of images has no columns of people.

        Raises
        ------
        ParamsError
            If the data are no table.
        """
        if not isinstance(spec, TableInput):
            raise ParamsError(
                "evaluation.risks: personal-data looks at tables, and the data are images; "
                "remove it"
            )

    def measure(self, subject: Subject, origin: Origin) -> dict[str, Measurement]:
        """Look through the raw table, count its classes, and shuffle the model's columns."""
        from hardgate.risks.personal_data import scanning  # Presidio takes seconds to import

        raw = origin.raw()
        hits = scanning.scan(raw.frame, values=self.values, seed=subject.seed)
        rows = len(raw.frame)
        found = {
            measurements.COLUMNS_SCANNED: statistics.exact(len(raw.frame.columns), rows),
            measurements.COLUMNS_FOUND: statistics.exact(len({hit.column for hit in hits}), rows),
        }
        found |= {measurements.personal(hit.column, hit.entity): hit.share for hit in hits}
        if self.k is not None and self.l is not None:
            found |= anonymity.measure(
                raw.frame, self.quasi_identifiers, label=raw.target, k=self.k, l=self.l
            )
        return found | needless.measure(subject, shuffles=self.shuffles, tolerance=self.tolerance)

    def said(self, name: str) -> str:
        """Say what a measurement is of."""
        _, what, *rest = name.split("/")
        match what:
            case "columns_scanned":
                return "columns looked through"
            case "columns_found":
                return "columns with personal data"
            case "found":
                entity = rest[1].replace("_", " ")
                return f"{rest[0]}: share of its different values that are of the kind {entity}"
            case "k_anonymity" if rest[0] == "smallest":
                return "rows in the smallest class of rows alike in all quasi-identifiers"
            case "k_anonymity":
                return f"share of rows in classes of fewer than {rest[0]}"
            case "l_diversity" if rest[0] == "smallest":
                return "different labels in the least diverse class"
            case "l_diversity":
                return f"share of rows in classes with fewer than {rest[0]} different labels"
            case "needed":
                return f"score lost when {rest[0]} is shuffled"
            case "needless":
                return f"score lost when {rest[0]} is shuffled: it could be left out"
            case _:
                return "score lost when all that could be left out are shuffled"
