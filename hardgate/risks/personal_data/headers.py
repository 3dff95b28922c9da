"""What the name of a column says is in it, in the languages that tables are headed in.

A word counts when it stands by itself in the name (``card_no``, ``cardNo``, ``Card No``) or, being
long, anywhere in it (``Kundenkontonummer``). It does not count beside a word of quantity or kind:
``card_limit`` and ``account_type`` hold no card and no account. Words are spelled without accents.
"""

from __future__ import annotations

import re
import unicodedata


def words(text: str) -> frozenset[str]:
    """Read a list of words, parted by blanks."""
    return frozenset(text.split())


LONG = 7  # letters; a shorter word may stand within another by accident

QUANTITIES = words(
    """
    age amount amt average avg balance betrag count counts currency days flag importe kind length
    len limit mean month months montant quantity qty rate ratio saldo score share status sum total
    type typ volume year years
    """
)
# What else has a name. Of a person, these words alone do not speak.
THINGS = QUANTITIES | words(
    """
    app brand category channel city class column company country device domain event field file
    firm firma group host item model organisation organization product project school server
    service shop species state store street table team town user
    """
)
# Headers that hold names and nothing else, whether we know the names in the column or not.
SURELY_PERSON = words(
    """
    fullname firstname lastname forename surname givenname middlename maidenname cardholder
    vorname nachname familienname prenom apellido apellidos cognome sobrenome nazwisko imie
    voornaam achternaam fornavn etternavn efternavn fornamn efternamn etunimi sukunimi soyad
    soyadi
    """
)
PERSON = SURELY_PERSON | words(
    """
    name names username customername holder nom nombre nome naam navn namn nimi ad adi patient
    client customer author employee contact kunde mitarbeiter
    """
)
STREET = words(
    """
    address addr street strasse adresse anschrift wohnort rue calle indirizzo direccion endereco
    ulica adres straat adress gata osoite residence domicile
    """
)
POSTCODE = words(
    """
    zip zipcode postcode postal postalcode plz postleitzahl codepostal cep postnummer postnr
    codigopostal kodpocztowy pincode
    """
)
PHONE = words(
    """
    phone phonenumber telephone tel telefon telefonnummer mobile mobil mobiltelefon handy cell
    cellphone fax telefono telefone gsm msisdn puhelin call
    """
)
CARD = words(
    """
    card cardnumber creditcard debitcard cc ccnum visa mastercard amex maestro karte kreditkarte
    kartennummer carte tarjeta carta cartao kreditkort
    """
)
ACCOUNT = words(
    """
    account accountnumber acct konto kontonummer kontonr compte cuenta conta rekening
    rekeningnummer rachunek bankaccount
    """
)
BIRTH = words(
    """
    birth birthday birthdate dateofbirth dob born geburtsdatum geburtstag geboren naissance
    nacimiento nascita nascimento geboortedatum urodzenia fodselsdato
    """
)
SOCIAL_SECURITY = words("ssn ssns socialsecurity itin taxpayer")
PASSPORT = words(
    """
    passport passportnumber reisepass passeport pasaporte passaporto
    """
)
LICENCE = words(
    """
    license licence driverslicense driving fuhrerschein permis patente
    """
)
HEALTH = words("nhs nhsnumber medicare mbi medicaid beneficiary")
NATIONAL = words(
    """
    aadhaar bvn cf codicefiscale dni fin fiscale hetu identitynumber idnr nationalid
    nationalinsurance ni nie nif nin nino nric pan personalausweis personnummer pesel rrn
    steueridentifikationsnummer steuerid steuernummer taxid tfn tin tnin uidai
    """
)


def tokens(header: object) -> tuple[str, ...]:
    """Cut a column's name into words of plain small letters."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", str(header).replace("ß", "ss"))
    return tuple(re.findall(r"[a-z]+", plain(parted)))


def plain(text: str) -> str:
    """Spell without accents and in small letters."""
    parted = unicodedata.normalize("NFKD", text)
    return "".join(sign for sign in parted if not unicodedata.combining(sign)).lower()


def says(header: object, sought: frozenset[str], *, unless: frozenset[str] = QUANTITIES) -> bool:
    """Tell whether a column's name holds a word that is sought, and none that undoes it."""
    found = tokens(header)
    if not sought or not unless.isdisjoint(found):
        return False
    whole = "".join(found)
    return not sought.isdisjoint(found) or any(
        len(word) >= LONG and word in whole for word in sought
    )
