"""Pseudonyms: each value of a column by a keyed digest, before anything else sees the column.

HMAC (Krawczyk, Bellare and Canetti, 1997; RFC 2104) with SHA-256. The same key gives the same value
the same pseudonym, in every column and every file, so that rows can still be joined and one
person's rows kept together. Without the key nobody can try all names and see which digest fits,
as with a plain hash; with it, whoever must can. Under another key nothing matches: throwing the key
away cuts the link for good.

The key is the content of the file that ``HARDGATE_PSEUDONYM_KEY`` names, outside the repository.
Pseudonymised data are still personal data (Regulation (EU) 2016/679, article 4(5)).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Any

import pandas as pd

from hardgate import protection
from hardgate.errors import IntegrityError

KEY = "HARDGATE_PSEUDONYM_KEY"
SHORTEST = 32  # bytes of a key: as many as the digest has
# Hexadecimal digits as letters: a pseudonym of digits alone might be taken for a card number.
LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
LENGTH = 32  # letters: 128 bits, so that no two of a billion values meet


def key(*, needed: str) -> bytes:
    """Read the key; ``needed`` says what it is for.

    Raises
    ------
    ParamsError
        If none is named or it lies within the repository.
    IntegrityError
        If it is open to others or short enough to be guessed.
    """
    named = os.environ.get("HARDGATE_PSEUDONYM_KEY")
    content = protection.secret(named, variable=KEY, needed=needed).strip()
    if len(content) < SHORTEST:
        raise IntegrityError(
            f"the key of {KEY} has {len(content)} bytes, expected {SHORTEST} or more; "
            "make one with `hardgate keys`"
        )
    return content


def make_key(path: Path) -> None:
    """Make a key in a new file outside the repository, for its owner alone."""
    protection.make_secret(path, secrets.token_hex(SHORTEST).encode() + b"\n")


def replace(column: pd.Series[Any], secret: bytes, spell: Any = str) -> pd.Series[Any]:
    """Give the pseudonym of every value; missing cells stay missing.

    ``spell`` brings a value into the one spelling that is digested.
    """
    codes, values = pd.factorize(column)  # each value is digested once; missing is -1
    names = [_pseudonym(spell(value), secret) for value in values]
    taken = pd.Series([*names, None], dtype=object).to_numpy()[codes]
    return pd.Series(taken, index=column.index, name=column.name, dtype=object)


def _pseudonym(value: str, secret: bytes) -> str:
    digest = hmac.new(secret, value.encode(), hashlib.sha256).hexdigest()
    return digest[:LENGTH].translate(LETTERS)
