"""Where people live: streets with house numbers, and postal codes, by how each country writes them.

A street is a word such as *Street*, *straße* or *rue* with a number beside it; post boxes count.
"""

from __future__ import annotations

import re

from presidio_analyzer import Pattern, PatternRecognizer

STREET, POSTCODE = "STREET_ADDRESS", "POSTCODE"

NUMBER = r"\d{1,4}(?:\s?[a-zA-Z])?(?:[-/]\d{1,4})?"
CAPITAL = r"\p{Lu}[\p{L}.'’-]*"
ENGLISH = (
    r"street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|court|ct|place|pl|terrace|"
    r"square|sq|highway|hwy|parkway|pkwy|crescent|close|grove|gardens|way|mews|circle|trail|"
    r"extension|ext|hills?|heights|roads|estates?|ridge|plaza"
)
BEFORE = (  # languages that put the kind of street first
    r"rue|avenue|boulevard|place|chemin|allée|allee|impasse|quai|route|cours|"
    r"via|viale|piazza|corso|vicolo|largo|strada|contrada|borgo|calle|avenida|avda|plaza|paseo|"
    r"camino|ronda|cuesta|glorieta|pasaje|acceso|c/|rua|travessa|praça|praca|alameda|av|ul|ulica|"
    r"al|aleja|plac"
)
AFTER = (  # languages that put it last, and often into the word
    r"str|straße|strasse|weg|platz|allee|gasse|damm|ufer|straat|laan|plein|gracht|gatan|vägen|"
    r"vagen|gata|veien|gade|vej|katu|utca|sokak"
)
AT_THE_END = r"(?=\s*(?:$|[,;.\n#]|apt|suite|unit|flat|floor|\d|\b[NSEW]{1,2}\b))"
PATTERNS = (
    Pattern(
        "number first",
        rf"\b\d{{1,5}}[a-zA-Z]?,?\s+(?:{CAPITAL}\s+){{1,4}}(?i:{ENGLISH})\b\.?{AT_THE_END}",
        0.6,
    ),
    Pattern(
        "kind first, number before",
        rf"\b{NUMBER},?\s+(?i:bis\s+)?(?i:{BEFORE})(?!\w)\.?\s+"
        r"(?:\p{Ll}+['’ ]\s*){0,3}\p{Lu}",
        0.6,
    ),
    Pattern(
        "kind first, number after",
        rf"(?<!\w)(?i:{BEFORE})(?!\w)\.?\s*(?:[\p{{L}}.'’/-]+\s+){{0,5}}{CAPITAL},?\s+"
        rf"(?:n\.?\s?)?{NUMBER}\b",
        0.6,
    ),
    Pattern("kind last", rf"\b\p{{Lu}}[\p{{L}}.-]+[ -]?(?i:{AFTER})\b\.?\s+{NUMBER}\b", 0.6),
    Pattern("door", r"^\d{1,5}\s.+(?i:\b(?:apt|suite|unit|flat)\b)\.?\s*\w", 0.6),
    Pattern("word and number", rf"^{CAPITAL}(?:\s+[\p{{L}}.'’-]+)*,?\s+\d{{1,4}}[a-zA-Z]?\b", 0.1),
    Pattern("number and word", rf"^\d{{1,5}}[a-zA-Z]?,?\s+{CAPITAL}\s+\p{{L}}", 0.1),
    Pattern(
        "post box", r"(?i:\b(?:p\.?\s?o\.?\s+box|postfach|boîte postale|casella postale))\s+\d", 0.6
    ),
)
POSTCODES = (
    Pattern("United Kingdom", r"^[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}$", 0.6),
    Pattern("Canada", r"^[ABCEGHJ-NPRSTVXY]\d[A-Z] ?\d[A-Z]\d$", 0.6),
    Pattern("Netherlands", r"^[1-9]\d{3} ?[A-Z]{2}$", 0.5),
    Pattern("long form", r"^\d{5}-\d{4}$|^\d{5}-\d{3}$", 0.3),  # United States, Brazil
    Pattern("digits", r"^(?:[A-Z]{1,2}-)?\d{2,5}[- ]?\d{2,4}$", 0.1),
    Pattern("run together", r"^[A-Z]{1,2}\d[A-Z\d]?\d[A-Z]{2}$", 0.1),  # a plate looks the same
)


class StreetRecognizer(PatternRecognizer):
    """Finds a street with its number anywhere in a cell."""

    def __init__(self) -> None:
        super().__init__(
            supported_entity=STREET, patterns=list(PATTERNS), global_regex_flags=re.UNICODE
        )


class PostcodeRecognizer(PatternRecognizer):
    """Finds cells that are a postal code and nothing else."""

    def __init__(self) -> None:
        super().__init__(
            supported_entity=POSTCODE, patterns=list(POSTCODES), global_regex_flags=re.ASCII
        )
