"""The audit: what was written stays, and whoever changes it behind the registry is found."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from hardgate import provenance
from hardgate.errors import IntegrityError
from hardgate.registry import audit
from tests.conftest import Ended, Project

LENGTH = 6
ENVELOPE = b"an envelope"
TABLES = (audit.ENTRIES, audit.EVIDENCE, audit.HEAD)


def fill(engine: Engine, length: int = LENGTH) -> None:
    audit.prepare(engine)
    with Session(engine) as session, session.begin():
        for number in range(1, length):
            audit.append(session, "promote", allowed=True, by="grace", model=f"model-{number}")
        entry = audit.append(
            session,
            "evidence",
            allowed=True,
            by="pipeline",
            model="credit",
            version="1",
            evidence_sha256=provenance.sha256_bytes(ENVELOPE),
        )
        audit.keep_evidence(session, entry, ENVELOPE, created=7)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with an audit of six entries, the last one with evidence."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/mlflow.db"
    else:
        server = request.getfixturevalue("postgresql")
        name = f"audit_{abs(hash(request.node.nodeid))}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        url = f"{server}/{name}".replace("postgresql://", "postgresql+psycopg://")
    made = sa.create_engine(url)
    fill(made)
    yield made
    made.dispose()


def disarm(engine: Engine) -> None:
    """Do as the owner of the database can."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            for table in TABLES:
                connection.execute(sa.text(f"ALTER TABLE {table.name} DISABLE TRIGGER ALL"))
            return
        names = connection.execute(
            sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ).scalars()
        for name in names.all():
            connection.execute(sa.text(f"DROP TRIGGER {name}"))


def do(engine: Engine, *statements: Any) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)


def row(engine: Engine, number: int) -> dict[str, Any]:
    with engine.connect() as connection:
        found = sa.select(audit.ENTRIES).where(audit.ENTRIES.c.number == number)
        return dict(connection.execute(found).mappings().one())


def test_entries_are_chained(engine: Engine) -> None:
    found = audit.entries(engine)
    assert [entry.number for entry in found] == list(range(1, LENGTH + 1))
    assert found[0].previous == audit.FIRST
    for before, after in itertools.pairwise(found):
        assert after.previous == before.sha256
        assert after.at >= before.at


def test_an_empty_audit_holds(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/mlflow.db")
    audit.prepare(engine)
    assert audit.entries(engine) == ()
    engine.dispose()


def test_the_tables_are_made_once(engine: Engine) -> None:
    audit.prepare(engine)
    assert len(audit.entries(engine)) == LENGTH


def test_a_start_that_was_killed_is_made_good(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/mlflow.db")
    do(engine, sa.schema.CreateTable(audit.HEAD))
    fill(engine)
    assert len(audit.entries(engine)) == LENGTH
    with pytest.raises(sa.exc.DatabaseError, match="append-only"):
        do(engine, audit.ENTRIES.delete())
    engine.dispose()


def test_what_was_rolled_back_is_no_entry(engine: Engine) -> None:
    with Session(engine) as session:
        audit.append(session, "promote", allowed=True, by="grace", model="credit")
        session.rollback()
    assert len(audit.entries(engine)) == LENGTH


def test_writers_wait_for_each_other(engine: Engine) -> None:
    def write(_: int) -> None:
        with Session(engine) as session, session.begin():
            audit.append(session, "promote", allowed=True, by="grace", model="credit")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    assert len(audit.entries(engine)) == LENGTH + 40


# -- what the database refuses --------------------------------------------------------------------

CHANGES = {
    "update an entry": audit.ENTRIES.update().values(entry="{}"),
    "delete an entry": audit.ENTRIES.delete().where(audit.ENTRIES.c.number == LENGTH),
    "delete all": audit.ENTRIES.delete(),
    "update evidence": audit.EVIDENCE.update().values(content=b"other"),
    "delete evidence": audit.EVIDENCE.delete(),
    "delete the head": audit.HEAD.delete(),
}


@pytest.mark.parametrize("statement", CHANGES.values(), ids=CHANGES)
def test_the_database_refuses_to_change_what_was_written(engine: Engine, statement: Any) -> None:
    with pytest.raises(sa.exc.DatabaseError, match="append-only"):
        do(engine, statement)
    assert len(audit.entries(engine)) == LENGTH


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)  # SQLite has no TRUNCATE
@pytest.mark.parametrize("table", TABLES, ids=str)
def test_postgresql_refuses_to_empty_a_table(engine: Engine, table: sa.Table) -> None:
    with pytest.raises(sa.exc.DatabaseError, match="append-only"):
        do(engine, sa.text(f"TRUNCATE {table.name} CASCADE"))


# -- what the chain finds -------------------------------------------------------------------------


def changed(engine: Engine, number: int) -> list[Any]:
    """A word of an entry, with the row's digest left as it was."""
    words = row(engine, number)["entry"].replace("model-", "other-")
    where = audit.ENTRIES.c.number == number
    return [audit.ENTRIES.update().where(where).values(entry=words)]


def redigested(engine: Engine, number: int) -> list[Any]:
    """A word of an entry, with the row's digest made to fit: the next one tells."""
    words = row(engine, number)["entry"].replace("grace", "trudy")
    where = audit.ENTRIES.c.number == number
    digest = provenance.sha256_bytes(words.encode())
    return [audit.ENTRIES.update().where(where).values(entry=words, sha256=digest)]


def spelled_otherwise(engine: Engine, number: int) -> list[Any]:
    words = json.dumps(json.loads(row(engine, number)["entry"]), indent=1)
    where = audit.ENTRIES.c.number == number
    return [audit.ENTRIES.update().where(where).values(entry=words)]


def made_unreadable(engine: Engine, number: int) -> list[Any]:
    where = audit.ENTRIES.c.number == number
    return [audit.ENTRIES.update().where(where).values(entry="{not JSON")]


def removed(engine: Engine, number: int) -> list[Any]:
    return [audit.ENTRIES.delete().where(audit.ENTRIES.c.number == number)]


def inserted(engine: Engine, number: int) -> list[Any]:
    """A copy of an entry before it; every later one is numbered anew."""
    table = audit.ENTRIES
    later = [
        table.update().where(table.c.number == each).values(number=each + 1)
        for each in range(LENGTH, number - 1, -1)
    ]
    return [*later, table.insert().values(row(engine, number) | {"number": number})]


def swapped(engine: Engine, number: int) -> list[Any]:
    first, second = row(engine, number), row(engine, number + 1)
    where = audit.ENTRIES.c.number
    return [
        audit.ENTRIES.delete().where(where.in_([number, number + 1])),
        audit.ENTRIES.insert().values(second | {"number": number}),
        audit.ENTRIES.insert().values(first | {"number": number + 1}),
    ]


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (changed, 3),
        (redigested, 4),  # the entry itself is consistent; the one after it is not chained to it
        (spelled_otherwise, 3),
        (made_unreadable, 3),
        (removed, 4),  # the first one that is not where it was
        (inserted, 4),  # the original after its copy
        (swapped, 3),
    ],
)
def test_the_first_odd_entry_is_named(
    engine: Engine, tamper: Callable[[Engine, int], list[Any]], named: int
) -> None:
    disarm(engine)
    do(engine, *tamper(engine, 3))
    with pytest.raises(IntegrityError, match=f"entry {named} of the audit is not what was written"):
        audit.entries(engine)


@pytest.mark.parametrize("left", [0, 1, LENGTH - 1])
def test_entries_missing_at_the_end_are_found(engine: Engine, left: int) -> None:
    disarm(engine)
    do(engine, audit.ENTRIES.delete().where(audit.ENTRIES.c.number > left))
    with pytest.raises(IntegrityError, match=f"head says {LENGTH} entries, the table holds {left}"):
        audit.entries(engine)


def test_a_lost_head_is_found(engine: Engine) -> None:
    disarm(engine)
    do(engine, audit.HEAD.delete())
    with pytest.raises(IntegrityError, match="head is gone"):
        audit.entries(engine)


@pytest.mark.parametrize(
    "statement",
    [
        audit.EVIDENCE.update().values(content=b"other"),
        audit.EVIDENCE.delete(),
        audit.EVIDENCE.insert().values(
            number=2, model="credit", version="1", created=7, content=ENVELOPE
        ),
    ],
    ids=["changed", "removed", "inserted"],
)
def test_evidence_that_was_changed_is_found(engine: Engine, statement: Any) -> None:
    disarm(engine)
    do(engine, statement)
    with pytest.raises(IntegrityError, match=r"the evidence of entry \d of the audit"):
        audit.entries(engine)


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture
def registry(project: Project) -> Iterator[Engine]:
    """The database of a registry that ``hardgate up`` set up in the project."""
    from hardgate.server import services, settings

    (settings.room() / services.RULES).touch()
    engine = sa.create_engine(settings.load().database)
    fill(engine)
    yield engine
    engine.dispose()


def test_the_export_holds_the_chain(registry: Engine, command: Callable[..., Ended]) -> None:
    done = command("audit", "--json")
    assert done.status == 0, done.err
    exported = json.loads(done.out)
    digests = [each.pop("sha256") for each in exported]
    read = [audit.Entry.model_validate(each) for each in exported]
    assert tuple(read) == audit.entries(registry)
    assert digests == [entry.sha256 for entry in read]


def test_an_export_tells_what_a_rewritten_audit_hides(
    registry: Engine, command: Callable[..., Ended]
) -> None:
    """Whoever owns the database can write a whole new chain; its digests are others."""
    before = json.loads(command("audit", "--json").out)
    disarm(registry)
    do(registry, *(table.delete() for table in TABLES))
    do(registry, audit.HEAD.insert().values(id=1, length=0, sha256=audit.FIRST))
    fill(registry)
    after = json.loads(command("audit", "--json").out)
    assert len(after) == len(before)
    assert after[-1]["sha256"] != before[-1]["sha256"]


def test_the_audit_of_one_model_is_printed(registry: Engine, command: Callable[..., Ended]) -> None:
    done = command("audit", "credit")
    assert done.status == 0, done.err
    assert "pipeline evidence credit/1" in done.out
    assert done.out.endswith("1 entries, the chain holds\n")


def test_a_broken_chain_ends_the_command(registry: Engine, command: Callable[..., Ended]) -> None:
    disarm(registry)
    do(registry, *removed(registry, 2))
    done = command("audit")
    assert done.status == 3
    assert "entry 3 of the audit is not what was written" in done.err
    assert not done.out


def test_no_audit_without_a_registry(project: Project, command: Callable[..., Ended]) -> None:
    done = command("audit")
    assert done.status == 3
    assert "start it with hardgate up" in done.err
