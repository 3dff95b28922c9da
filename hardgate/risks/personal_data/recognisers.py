"""What is looked for in a table, and how much of a column must look like it.

Presidio (Microsoft, 2018) brings patterns and checksums; names and streets are ours, because its
own come from a language model that would have to be downloaded. Its recognisers are called one by
one, without its engine. Nothing here asks the network: the one that would, for the list of domain
endings, reads the list that its package carries.

A pattern alone proves little about a cell of a table, so each kind says what else it needs: a word
in the column's name or in the cell, a checksum that passes more often than chance lets it, or a
share of the column.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import presidio_analyzer.predefined_recognizers as presidio
import tldextract
from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer

from hardgate.risks.personal_data import headers
from hardgate.risks.personal_data.people import LIKELY, ONE_WORD, PARTLY, SHAPED, PersonRecognizer
from hardgate.risks.personal_data.places import PostcodeRecognizer, StreetRecognizer

NEVER = frozenset[str]()
DIGIT, LETTER = r"\d", r"\p{L}{2}"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of personal data.

    ``screen`` is a pattern (RE2) that every cell of the kind fits; it is cheap and sees the whole
    column, the recogniser sees what passed. ``words`` in the column's name, and with ``in_cells``
    in the cell itself, make any score count from ``least`` on; without them, it takes ``alone``.
    """

    entity: str
    recogniser: EntityRecognizer
    screen: str
    words: frozenset[str] = NEVER
    unless: frozenset[str] = headers.QUANTITIES
    in_cells: bool = False
    least: float = 0.01  # score that counts under a word
    alone: float | None = 0.5  # score that counts without one; None: never
    chance: float | None = None  # how often a random number passes the checksum
    floor: float = 0.0  # share of the column needed without a word
    floor_said: float = 0.0  # and with one
    fewest: int = 1  # values needed without a word: one may be called like a street by accident
    in_numbers: bool = False  # also looked for in columns of long whole numbers

    @property
    def counts_alone(self) -> bool:
        """Whether a single cell without a word is proof enough, however long the column."""
        return self.alone is not None and self.chance is None and self.floor == 0

    def said(self, text: str) -> bool:
        """Tell whether a column's name, or a cell, speaks of the kind."""
        return headers.says(text, self.words, unless=self.unless)


class _Email(presidio.EmailRecognizer):
    """Presidio's, with the domain endings that tldextract carries instead of today's."""

    def validate_result(self, pattern_text: str) -> bool:
        return bool(_endings()(pattern_text).fqdn)


@cache
def _endings() -> tldextract.TLDExtract:
    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


class _GermanTaxNumber(PatternRecognizer):
    """Steueridentifikationsnummer: eleven digits, the last by ISO 7064, MOD 11,10."""

    def __init__(self) -> None:
        pattern = Pattern("eleven digits", r"\b[1-9]\d{10}\b", 0.1)
        super().__init__(supported_entity="DE_TAX_ID", patterns=[pattern])

    def validate_result(self, pattern_text: str) -> bool:
        product = 10
        for digit in map(int, pattern_text[:-1]):
            product = ((digit + product) % 10 or 10) * 2 % 11
        counts = sorted(pattern_text[:10].count(digit) for digit in set(pattern_text[:10]))
        return (11 - product) % 10 == int(pattern_text[-1]) and counts[-1] in (2, 3)


def _run(low: int, high: int) -> str:
    """Fit a run of digits of one of these lengths, written with blanks, dashes or without."""
    return rf"(?:^|[^0-9A-Za-z])(?:\d[ .-]?){{{low - 1},{high - 1}}}\d(?:$|[^0-9A-Za-z])"


@cache
def kinds() -> tuple[Kind, ...]:
    """List all kinds; of one entity, the first that is found in a column counts."""
    person = PersonRecognizer()
    return (
        Kind(
            entity="PERSON",
            recogniser=person,
            screen=LETTER,
            words=headers.PERSON,
            unless=headers.THINGS,
            least=PARTLY,
            alone=LIKELY,
            floor=0.2,
            fewest=3,
            floor_said=0.1,
        ),
        Kind(  # one word per cell: nearly all must be names, unless the column says so
            entity="PERSON", recogniser=person, screen=LETTER, alone=ONE_WORD, floor=0.6
        ),
        Kind(
            entity="PERSON",
            recogniser=person,
            screen=LETTER,
            words=headers.SURELY_PERSON,
            least=SHAPED,
            alone=None,
            floor_said=0.5,
        ),
        Kind(
            entity="STREET_ADDRESS",
            recogniser=StreetRecognizer(),
            screen=DIGIT,
            words=headers.STREET,
            floor=0.02,
            fewest=3,
            floor_said=0.3,
        ),
        Kind(
            entity="POSTCODE",
            recogniser=PostcodeRecognizer(),
            screen=DIGIT,
            words=headers.POSTCODE,
            alone=0.6,
            floor=0.5,
            floor_said=0.5,
            in_numbers=True,
        ),
        Kind(entity="EMAIL_ADDRESS", recogniser=_Email(), screen="@", words=frozenset({"email"})),
        Kind(
            entity="CREDIT_CARD",
            recogniser=presidio.CreditCardRecognizer(),
            screen=_run(12, 19),
            words=headers.CARD,
            in_cells=True,
            chance=0.1,
            in_numbers=True,
        ),
        Kind(
            entity="IBAN_CODE",
            recogniser=presidio.IbanRecognizer(),
            screen=r"[A-Z]{2}\d{2}[ -]?[A-Z0-9]{4}",
        ),
        Kind(
            entity="ACCOUNT_NUMBER",
            recogniser=presidio.UsBankRecognizer(supported_entity="ACCOUNT_NUMBER"),
            screen=_run(8, 17),
            words=headers.ACCOUNT,
            in_cells=True,
            alone=None,
            in_numbers=True,
        ),
        Kind(
            entity="PHONE_NUMBER",
            recogniser=presidio.PhoneRecognizer(
                supported_regions=("US", "GB", "DE", "FR", "IT", "ES")
            ),
            screen=r"(?:\d[ ()./-]*){6}",
            words=headers.PHONE,
            in_cells=True,
            alone=None,
            in_numbers=True,
        ),
        Kind(  # written with the code of its country, a number needs no word
            entity="PHONE_NUMBER",
            recogniser=presidio.PhoneRecognizer(supported_regions=("US",)),
            screen=r"(?:^|[^\w+])(?:\+|00)[1-9][0-9 ().-]{7,16}\d",
            alone=0.4,
            floor=0.01,
        ),
        Kind(
            entity="DATE_OF_BIRTH",
            recogniser=presidio.DateRecognizer(supported_entity="DATE_OF_BIRTH"),
            screen=r"\d",
            words=headers.BIRTH,
            alone=None,
            floor_said=0.2,
        ),
        Kind(  # four numbers after a sign are a version, as of a browser
            entity="IP_ADDRESS",
            recogniser=presidio.IpRecognizer(),
            screen=r"(?:^|[\s,;=(\[])(?:(?:\d{1,3}\.){3}\d|(?:[0-9a-fA-F]{0,4}:){3})",
        ),
        Kind(
            entity="MAC_ADDRESS",
            recogniser=presidio.MacAddressRecognizer(),
            screen=r"[0-9a-fA-F]{2}[:.-][0-9a-fA-F]{2}",
        ),
        Kind(entity="CRYPTO_WALLET", recogniser=presidio.CryptoRecognizer(), screen=r"\w{26}"),
        *_numbers_of_states(),
    )


def _numbers_of_states() -> tuple[Kind, ...]:
    """List the numbers by which states know people."""

    def of(
        entity: str,
        recogniser: EntityRecognizer,
        screen: str,
        words: frozenset[str] = headers.NATIONAL,
        *,
        alone: float | None = 0.5,
        chance: float | None = None,
        floor: float = 0.0,
    ) -> Kind:
        return Kind(
            entity=entity,
            recogniser=recogniser,
            screen=screen,
            words=words,
            in_cells=True,
            alone=alone,
            chance=chance,
            floor=floor,
            in_numbers=True,
        )

    letters = r"[A-Za-z]\d|\d[A-Za-z]"
    return (
        of(
            "US_SSN",
            presidio.UsSsnRecognizer(),
            r"\d{3}[- .]?\d{2}[- .]?\d{4}",
            headers.SOCIAL_SECURITY,
            floor=0.5,
        ),
        of(
            "US_ITIN",
            presidio.UsItinRecognizer(),
            r"\b9\d{2}[- ]?\d{2}",
            headers.SOCIAL_SECURITY,
            alone=None,
        ),
        of("US_PASSPORT", presidio.UsPassportRecognizer(), r"\d{8}", headers.PASSPORT, alone=None),
        of("UK_PASSPORT", presidio.UkPassportRecognizer(), letters, headers.PASSPORT, alone=None),
        of(
            "US_DRIVER_LICENSE",
            presidio.UsLicenseRecognizer(),
            r"\d{6}",
            headers.LICENCE,
            alone=None,
        ),
        of("US_MBI", presidio.UsMbiRecognizer(), letters, headers.HEALTH, alone=None),
        of("UK_NHS", presidio.NhsRecognizer(), _run(10, 10), headers.HEALTH, chance=1 / 11),
        of("UK_NINO", presidio.UkNinoRecognizer(), letters, alone=None),
        of("DE_TAX_ID", _GermanTaxNumber(), _run(11, 11), chance=0.1),
        of("ES_NIF", presidio.EsNifRecognizer(), r"\d{7,8}-?[A-Za-z]", chance=1 / 23),
        of("ES_NIE", presidio.EsNieRecognizer(), r"[XYZxyz]\d{7}", chance=1 / 23),
        of("IT_FISCAL_CODE", presidio.ItFiscalCodeRecognizer(), r"[A-Za-z]{6}\d", chance=1 / 26),
        of("PL_PESEL", presidio.PlPeselRecognizer(), _run(11, 11), chance=0.1),
        of(
            "FI_IDENTITY_CODE",
            presidio.FiPersonalIdentityCodeRecognizer(),
            r"\d{6}[-+A-Y]\d",
            chance=1 / 31,
        ),
        of("IN_AADHAAR", presidio.InAadhaarRecognizer(), _run(12, 12), chance=0.1),
        of("IN_PAN", presidio.InPanRecognizer(), r"[A-Za-z]{5}\d{4}", alone=None),
        of("AU_TFN", presidio.AuTfnRecognizer(), _run(9, 9), chance=0.1),
        of(
            "AU_MEDICARE", presidio.AuMedicareRecognizer(), _run(10, 10), headers.HEALTH, chance=0.1
        ),
        of("SG_NRIC", presidio.SgFinRecognizer(), r"[STFGMstfgm]\d{7}", alone=None),
        of("KR_RRN", presidio.KrRrnRecognizer(), r"\d{6}-?[1-4]\d", alone=None),
        of("TH_TNIN", presidio.ThTninRecognizer(), _run(13, 13), chance=0.1),
        of("NG_NIN", presidio.NgNinRecognizer(), _run(11, 11), chance=0.1),
    )
