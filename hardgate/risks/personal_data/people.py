"""Names of people, by shape and by a list of common ones in many languages.

No list is complete, so a column is judged by its share of likely names and not by one of them: a
list that holds two thirds of all names still tells a column of people from one of cities.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from hardgate.risks.personal_data.headers import plain, words

PERSON = "PERSON"
# How sure a value is a name; what a column needs of each stands in recognisers.py.
KNOWN, LIKELY, ONE_WORD, PARTLY, SHAPED = 0.85, 0.6, 0.3, 0.2, 0.1
WORD = r"[^\W\d_]+(?:['’-][^\W\d_]+)*"
TITLE = re.compile(
    r"^(?:mr|mrs|ms|miss|dr|prof|herr|frau|hr|fr|mme|mlle|m|sig|sra?|dott|ing|med|sir|dame)\b\.?\s*",
    re.IGNORECASE,
)
SUFFIX = re.compile(r",?\s+(?:jr|sr|ii|iii|iv|phd|md|dds|dvm)\b\.?$", re.IGNORECASE)
SHAPE = re.compile(rf"{WORD}\.?(?:,?\s+{WORD}\.?){{0,4}}")
WITHIN = re.compile(rf"\b({WORD})\s+(?:[A-Z]\.\s+)?({WORD})")
PARTICLES = words(
    """
    von van der den de del della di da dos du la le el al bin ibn ter zu y
    """
)
LONGEST = 60  # letters; beyond them a value is a text


@cache
def known() -> tuple[frozenset[str], frozenset[str]]:
    """Read the lists of given and of family names."""
    text = resources.files(__package__).joinpath("names.txt").read_text(encoding="utf-8")
    _, given, family = re.split(r"\[given\]|\[family\]", text)
    return frozenset(given.split()), frozenset(family.split())


class PersonRecognizer(EntityRecognizer):
    """Scores a cell: given and family name known, one of them beside another word, one alone."""

    def __init__(self) -> None:
        super().__init__(supported_entities=[PERSON], name="PersonRecognizer")

    def load(self) -> None:
        """There is no model to load."""

    def analyze(
        self,
        text: str,
        entities: list[str],  # noqa: ARG002  as all recognisers
        nlp_artifacts: NlpArtifacts | None = None,  # noqa: ARG002
    ) -> list[RecognizerResult]:
        """Score the whole cell as a name; within longer text, look for two known names together."""
        cell = SUFFIX.sub("", TITLE.sub("", text.strip()))
        whole = len(cell) <= LONGEST and SHAPE.fullmatch(cell) is not None
        score = _whole(cell) if whole else 0.0
        if score < KNOWN and any(_together(*pair) for pair in WITHIN.findall(text)):
            score = KNOWN
        return [RecognizerResult(PERSON, 0, len(text), score)] if score else []


def _whole(cell: str) -> float:
    """Score a cell that has the shape of a name: words of letters, no digit."""
    given, family = known()
    words = [word for word in re.findall(WORD, cell) if plain(word) not in PARTICLES]
    parts = [part for word in words for part in plain(word).split("-") if len(part) > 1]
    first = next((at for at, part in enumerate(parts) if part in given), None)
    others = [part for at, part in enumerate(parts) if at != first]
    if len(words) == 1 and parts:
        known_word = first is not None or parts[0] in family
        return ONE_WORD if known_word else _shaped(words)
    if first is None:
        return PARTLY if any(part in family for part in parts) else _shaped(words)
    if any(part in family or part in given for part in others):
        return KNOWN
    return LIKELY if _shaped(words) and others else PARTLY


def _shaped(words: list[str]) -> float:
    """Tell what is at least written as a name is: every word with a capital."""
    return SHAPED if words and all(word[0].isupper() for word in words) else 0.0


def _together(first: str, second: str) -> bool:
    given, family = known()
    return (
        first[0].isupper()
        and second[0].isupper()
        and plain(first) in given
        and plain(second) in family
    )
