"""What a drill came to, candidate by candidate."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field

from hardgate.records import Record

FILE: Final = Path("drill.json")  # in the state folder


class Outcome(Record):
    """One candidate: who should refuse it, and who did; a good one is refused by nobody."""

    name: str
    story: str
    expected: str | None
    refused_by: tuple[str, ...]  # labels of gates, or the check and its words
    seconds: float

    @property
    def right(self) -> bool:
        """Whether it was refused by who should, or passed if it is good."""
        if self.expected is None:
            return not self.refused_by
        return any(self.expected in refusal for refusal in self.refused_by)


class Drill(Record):
    """All candidates of one drill."""

    outcomes: tuple[Outcome, ...] = Field(min_length=1)
    drilled_at: str  # UTC, ISO 8601
    commit: str
    seconds: float

    @property
    def bad(self) -> tuple[Outcome, ...]:
        """The candidates that must not pass."""
        return tuple(each for each in self.outcomes if each.expected is not None)

    @property
    def good(self) -> tuple[Outcome, ...]:
        """The candidates that must."""
        return tuple(each for each in self.outcomes if each.expected is None)

    @property
    def score(self) -> float:
        """Share of all candidates that were treated as they should."""
        return sum(each.right for each in self.outcomes) / len(self.outcomes)

    @property
    def exit_code(self) -> int:
        """0 when every candidate was treated as it should, else 1."""
        return 0 if self.score == 1 else 1

    def __str__(self) -> str:
        """Say it in one line."""
        refused = sum(each.right for each in self.bad)
        passed = sum(each.right for each in self.good)
        return (
            f"{refused} of {len(self.bad)} bad candidates were refused by who should, "
            f"{passed} of {len(self.good)} good ones passed"
        )
