"""Personal data in columns: every planted one is named, and a clean twin has none."""

from __future__ import annotations

import socket
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hardgate.risks.personal_data import scanning

ROWS = 400
GIVEN = ["Hans", "Zuzanna", "Mary", "Luc", "Giulia", "Wulfhild", "Tomasz", "Aoife", "Ebbo", "Priya"]
FAMILY = ["Schmidt", "Okonedo", "Dubois", "Unterberg", "Smith", "Rossi", "Quarshie", "Lindqvist"]
STREETS = ["Hauptstraße {}", "{} High Street", "{} rue de la Gare", "Via Roma {}", "Lindenweg {}"]


def luhn(digits: str) -> str:
    """The digit that makes a card number of these."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * 2 if place % 2 == 0 else int(digit)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


def iban(account: int) -> str:
    """A German IBAN of a made-up account."""
    digits = f"37040044{account:010d}"
    return f"DE{98 - int(digits + '131400') % 97:02d}{digits}"


@pytest.fixture(scope="module")
def people() -> dict[str, list[Any]]:
    draw = np.random.default_rng(1)
    given, family = draw.choice(GIVEN, ROWS), draw.choice(FAMILY, ROWS)
    numbers = draw.integers(10**14, 10**15, ROWS)
    cards = [luhn(f"4{number}"[:15]) for number in numbers]
    houses = draw.integers(1, 200, ROWS)
    return {
        "c1": [f"{one} {other}" for one, other in zip(given, family, strict=True)],
        "c2": [STREETS[house % 5].format(house) for house in houses],
        "c3": [f"{card[:4]} {card[4:8]} {card[8:12]} {card[12:]}" for card in cards],
        "c4": [int(card) for card in cards],
        "c5": [iban(number) for number in draw.integers(1, 10**9, ROWS).tolist()],
        "c6": [
            f"{one.lower()}.{house}@example.org" for one, house in zip(given, houses, strict=True)
        ],
        "c7": [f"+49 30 {number}" for number in draw.integers(2000000, 9999999, ROWS)],
        "Vorname": [f"{one}" for one in given],
        "zip": draw.integers(10000, 99999, ROWS).tolist(),
        "konto_nr": draw.integers(10**8, 10**9, ROWS).tolist(),
        "geburtsdatum": [
            f"19{year}-03-{day:02d}" for year, day in draw.integers(10, 28, (ROWS, 2))
        ],
        "ssn": [
            f"123-{two}-{four}" for two, four in draw.integers([10, 1000], [99, 9999], (ROWS, 2))
        ],
    }


EXPECTED = {
    "c1": "PERSON",
    "c2": "STREET_ADDRESS",
    "c3": "CREDIT_CARD",
    "c4": "CREDIT_CARD",
    "c5": "IBAN_CODE",
    "c6": "EMAIL_ADDRESS",
    "c7": "PHONE_NUMBER",
    "Vorname": "PERSON",
    "zip": "POSTCODE",
    "konto_nr": "ACCOUNT_NUMBER",
    "geburtsdatum": "DATE_OF_BIRTH",
    "ssn": "US_SSN",
}


def found(columns: Any, values: int = 200) -> dict[str, set[str]]:
    hits: dict[str, set[str]] = {}
    for hit in scanning.scan(pd.DataFrame(columns), values=values, seed=1):
        hits.setdefault(hit.column, set()).add(hit.entity)
    return hits


def clean(seed: int) -> dict[str, Any]:
    """A table as others are: codes, amounts, dates, places, words."""
    draw = np.random.default_rng(seed)
    towns = ["Paris", "Salt Lake City", "Berlin", "San Jose", "Florence", "Austin", "Leeds", "Oslo"]
    goods = ["Rose Garden Set", "Mark II Lens", "Spring 2020", "4 Wheel Drive", "Platz 3", "5 star"]
    return {
        "id": np.arange(ROWS),
        "order_no": draw.integers(4 * 10**15, 5 * 10**15, ROWS),
        "reference": [f"4{n}" for n in draw.integers(10**14, 10**15, ROWS)],
        "iban_like": [f"DE{n:020d}" for n in draw.integers(1, 10**18, ROWS)],
        "cents": draw.integers(0, 10**11, ROWS),
        "account_balance": draw.integers(0, 10**10, ROWS),
        "card_type": draw.choice(["Visa", "Mastercard"], ROWS),
        "timestamp": draw.integers(1_600_000_000_000, 1_700_000_000_000, ROWS),
        "day": [f"2024-{m:02d}-{d:02d}" for m, d in draw.integers(1, 12, (ROWS, 2))],
        "town": draw.choice(towns, ROWS),
        "product_name": draw.choice(goods, ROWS),
        "month": draw.choice(["January", "April", "May", "June", "August"], ROWS),
        "colour": draw.choice(["white", "Brown", "Green", "Gray", "Black"], ROWS),
        "reason": draw.choice(["car", "debt consolidation", "home improvement", "other"], ROWS),
        "version": draw.choice(["1.2.3", "2.0.1"], ROWS),
        "code": [f"A{n}" for n in draw.integers(10**6, 10**7, ROWS)],
        "rate": draw.normal(size=ROWS),
        "paid": draw.choice([True, False], ROWS),
    }


def test_every_planted_column_is_named(people: dict[str, list[Any]]) -> None:
    hits = found(people)
    assert {column for column in people if EXPECTED[column] in hits.get(column, set())} == set(
        people
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_clean_table_has_none(seed: int) -> None:
    assert found(clean(seed)) == {}


def test_one_address_in_a_hundred_thousand_remarks_is_found() -> None:
    remarks = [f"remark {number}" for number in range(100_000)]
    remarks[4711] = "please write to jane.roe@example.com"
    (hit,) = scanning.scan(pd.DataFrame({"remark": remarks}), values=100, seed=1)
    assert (hit.entity, hit.share.interval) == ("EMAIL_ADDRESS", "exact")
    assert hit.share.value == pytest.approx(1e-5)


def test_a_single_card_is_found_when_the_cell_says_card() -> None:
    cells = ["fine"] * 99 + ["he paid with card 4111111111111111"]
    assert found({"remark": cells}) == {"remark": {"CREDIT_CARD"}}


def test_random_numbers_pass_for_cards_in_less_than_one_column_in_a_hundred() -> None:
    draw = np.random.default_rng(5)
    columns = {f"n{at}": draw.integers(4 * 10**15, 5 * 10**15, 60) for at in range(150)}
    assert len(found(columns, values=60)) <= 1


def test_the_share_of_a_drawn_part_has_an_interval_that_holds_the_truth() -> None:
    names = [f"Mary Smith {'x' * at}" for at in range(120)]
    cells = names + [f"remark {number}" for number in range(180)]
    hits = [
        scanning.scan(pd.DataFrame({"c": cells}), values=100, seed=seed)[0] for seed in range(20)
    ]
    assert sum(hit.share.lower <= 120 / 300 <= hit.share.upper for hit in hits) >= 17
    assert {hit.share.samples for hit in hits} == {100}


def test_nothing_asks_the_network(
    people: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the network was asked")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert "c6" in found(people)


def test_missing_cells_and_empty_columns_are_no_trouble() -> None:
    columns = {
        "name": [None, None],
        "zip": [np.nan, np.nan],
        "phone": pd.array([None, 49302000000], dtype="Int64"),
        "when": pd.to_datetime(["2024-01-01", None]),
        "kind": pd.Categorical(["a", None]),
        "far": [np.inf, 1e300],
    }
    assert found(columns) in ({}, {"phone": {"PHONE_NUMBER"}})
