"""Words that look alike are alike: names, aliases and tags are compared in one form."""

from __future__ import annotations

import unicodedata


def fold(word: str) -> str:
    """Bring a word to the form in which lookalikes by case, width or blanks are equal."""
    return unicodedata.normalize("NFKC", word).strip().casefold()


def visible(text: str) -> str:
    """Spell what would move a cursor or hide on a terminal: line breaks, escapes, zero widths."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
