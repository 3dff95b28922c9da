"""The audit: an append-only table beside the registry's own, each entry chained to the last.

An entry holds the SHA-256 of the one before, so that a changed, removed or inserted row breaks the
chain from there on. Triggers in the database refuse UPDATE and DELETE; whoever owns the database
can drop them, and then the chain and an exported head say so (docs/threat-model.md).

Evidence is kept here whole, by its digest: what an approval rested on can be read for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from pydantic import AwareDatetime, PositiveInt, ValidationError
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateIndex, CreateTable

from hardgate import provenance
from hardgate.errors import IntegrityError
from hardgate.records import Record, Sha256

FIRST: Final = "0" * 64  # what the first entry is chained to
LOCK: Final = 7_014_271_001  # of PostgreSQL, while tables are made

METADATA = sa.MetaData()
ENTRIES = sa.Table(
    "hardgate_audit",
    METADATA,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("entry", sa.Text, nullable=False),  # canonical JSON
    sa.Column("sha256", sa.String(64), nullable=False),
)
EVIDENCE = sa.Table(
    "hardgate_evidence",
    METADATA,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),  # of its entry
    sa.Column("model", sa.String(256), nullable=False),
    sa.Column("version", sa.String(32), nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),  # numbers come back, this does not
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Index("hardgate_evidence_of", "model", "version", "created"),
)
# One row that every writer locks first: entries and protected aliases change one at a time.
HEAD = sa.Table(
    "hardgate_audit_head",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("length", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
)

Action = Literal[
    "evidence", "change", "promote", "withdraw", "delete", "rename", "waive", "release", "alarm"
]


class Entry(Record):
    """What somebody did or was refused."""

    number: PositiveInt
    at: AwareDatetime
    previous: Sha256
    action: Action
    allowed: bool
    by: str
    roles: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()
    model: str
    version: str = ""
    target: str = ""  # the alias, the stage or the new name
    before: str = ""  # the versions that held the target until then
    words: str = ""
    evidence_sha256: str = ""
    model_sha256: str = ""
    waived: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Digest of the entry, which the next one carries."""
        return provenance.sha256_bytes(self.spelled)

    @property
    def spelled(self) -> bytes:
        """The entry as canonical JSON."""
        return provenance.canonical_json(self.model_dump(mode="json"))


def prepare(engine: Engine) -> None:
    """Make the tables and their triggers, unless they are there."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        if _is_prepared(connection):
            return
        for table in METADATA.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))
        for statement in _triggers(connection):
            connection.execute(sa.text(statement))
        # Last, and once: SQLite keeps the tables of a start that was killed; workers start at once.
        kind = postgresql if connection.dialect.name == "postgresql" else sqlite
        first = kind.insert(HEAD).values(id=1, length=0, sha256=FIRST)
        connection.execute(first.on_conflict_do_nothing())


def _is_prepared(connection: Connection) -> bool:
    if not sa.inspect(connection).has_table(HEAD.name):
        return False
    return bool(connection.execute(sa.select(sa.func.count()).select_from(HEAD)).scalar())


def _triggers(connection: Connection) -> Iterator[str]:
    refused = {
        ENTRIES.name: ("UPDATE", "DELETE"),
        EVIDENCE.name: ("UPDATE", "DELETE"),
        HEAD.name: ("DELETE",),  # it moves with every entry
    }
    if connection.dialect.name == "postgresql":
        yield (
            "CREATE OR REPLACE FUNCTION hardgate_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
        )
        for table, verbs in refused.items():
            yield (
                f"CREATE TRIGGER {table}_append_only BEFORE {' OR '.join(verbs)} OR TRUNCATE "
                f"ON {table} FOR EACH STATEMENT EXECUTE FUNCTION hardgate_append_only()"
            )
        return
    for table, verbs in refused.items():
        for verb in verbs:
            yield (
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def lock(session: Session) -> None:
    """Take the one lock, until the transaction ends: who comes second waits."""
    session.execute(HEAD.update().where(HEAD.c.id == 1).values(length=HEAD.c.length))


def append(session: Session, action: Action, *, allowed: bool, **said: Any) -> Entry:
    """Add an entry within the session's transaction."""
    lock(session)
    length, previous = session.execute(sa.select(HEAD.c.length, HEAD.c.sha256)).one()
    entry = Entry.model_validate(
        {
            "number": length + 1,
            "at": datetime.now(UTC),
            "previous": previous,
            "action": action,
            "allowed": allowed,
            **said,
        }
    )
    session.execute(
        ENTRIES.insert().values(
            number=entry.number, entry=entry.spelled.decode(), sha256=entry.sha256
        )
    )
    session.execute(
        HEAD.update().where(HEAD.c.id == 1).values(length=entry.number, sha256=entry.sha256)
    )
    return entry


def keep_evidence(session: Session, entry: Entry, content: bytes, *, created: int) -> None:
    """Keep the envelope that an entry tells of."""
    session.execute(
        EVIDENCE.insert().values(
            number=entry.number,
            model=entry.model,
            version=entry.version,
            created=created,
            content=content,
        )
    )


def evidence_of(session: Session, model: str, version: str, *, created: int) -> bytes | None:
    """Find the last envelope that was recorded for a version of this creation time."""
    found = session.execute(
        sa.select(EVIDENCE.c.content)
        .where(
            EVIDENCE.c.model == model,
            EVIDENCE.c.version == version,
            EVIDENCE.c.created == created,
        )
        .order_by(EVIDENCE.c.number.desc())
        .limit(1)
    ).scalar_one_or_none()
    return None if found is None else bytes(found)


def has_evidence(engine: Engine) -> bool:
    """Tell whether a server ever took evidence into this database."""
    with engine.connect() as connection:
        return connection.execute(sa.select(EVIDENCE.c.number).limit(1)).first() is not None


def entries(engine: Engine) -> tuple[Entry, ...]:
    """Read the whole audit, after its chain was found unbroken.

    Raises
    ------
    IntegrityError
        Names the first entry that is not what it was.
    """
    with engine.connect() as connection:
        rows = connection.execute(sa.select(ENTRIES).order_by(ENTRIES.c.number)).mappings().all()
        head = connection.execute(sa.select(HEAD)).mappings().one_or_none()
        found = tuple(chained(rows))
        kept = connection.execute(
            sa.select(EVIDENCE.c.number, EVIDENCE.c.content)
            .order_by(EVIDENCE.c.number)
            .execution_options(yield_per=1)  # an envelope may be large
        )
        envelopes = {number: provenance.sha256_bytes(bytes(content)) for number, content in kept}
    last = (len(found), found[-1].sha256 if found else FIRST)
    if head is None or last != (head["length"], head["sha256"]):
        said = "is gone" if head is None else f"says {head['length']} entries"
        raise IntegrityError(
            f"the audit's head {said}, the table holds {len(found)}: "
            "entries were removed at the end; compare with the last export"
        )
    told = {entry.number: entry.evidence_sha256 for entry in found if entry.action == "evidence"}
    for number in sorted({*told, *envelopes}):
        if told.get(number) != envelopes.get(number):
            raise IntegrityError(
                f"the evidence of entry {number} of the audit is not what was recorded: somebody "
                "changed, removed or inserted it; compare with the run's artifacts"
            )
    return found


def chained(rows: Iterable[Mapping[Any, Any]]) -> Iterator[Entry]:
    """Read rows and follow the chain."""
    previous = FIRST
    for number, row in enumerate(rows, start=1):
        try:
            entry = Entry.model_validate_json(row["entry"])
        except ValidationError:
            entry = None
        if entry is None or (
            (entry.number, row["number"], entry.previous, row["sha256"], entry.spelled.decode())
        ) != (number, number, previous, entry.sha256, row["entry"]):
            raise IntegrityError(
                f"entry {row['number']} of the audit is not what was written: somebody changed, "
                "removed or inserted rows; compare with the last export"
            )
        previous = entry.sha256
        yield entry
