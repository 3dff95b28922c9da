"""Many approvals at once, and servers that die in the middle of one."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hardgate.registry import audit
from hardgate.registry.audit import Entry
from tests.hardgate.registry.conftest import ADMIN, GRACE, HEIDI, User, Version, World

pytestmark = pytest.mark.slow

AT_ONCE = 50
KILLS = int(os.environ.get("KILLS", "3"))  # 20 take five minutes and more


def withdraw(world: World, user: User, name: str) -> requests.Response:
    return world.api(user, "DELETE", "registered-models/alias", name=name, alias="champion")


def several(world: World, count: int) -> list[Version]:
    first = world.prove(world.register())
    return [first, *(world.prove(world.register(first.name)) for _ in range(count - 1))]


def replayed(entries: tuple[Entry, ...], name: str) -> str | None:
    """What the audit says the champion is; every entry fits to the one before."""
    held: str | None = None
    for entry in entries:
        if entry.model != name or not entry.allowed:
            continue
        if entry.action == "promote":
            assert entry.before == (held or ""), entry
            held = entry.version
        elif entry.action == "withdraw":
            assert entry.version == held, entry
            held = None
    return held


def alias(connection: Connection, name: str) -> str | None:
    found = connection.execute(
        sa.text(
            "SELECT version FROM registered_model_aliases WHERE name = :name AND alias = 'champion'"
        ),
        {"name": name},
    ).scalars()
    held = [str(version) for version in found]
    assert len(held) <= 1
    return held[0] if held else None


def stamps(connection: Connection, name: str) -> dict[str, str]:
    """Which entry of the audit each version's tags name."""
    found = connection.execute(
        sa.text(
            "SELECT version, value FROM model_version_tags "
            "WHERE name = :name AND key = 'approval.audit'"
        ),
        {"name": name},
    )
    return {str(version): value for version, value in found}


def consistent(world: World, name: str) -> str | None:
    """Require alias, tags and audit to tell one story; give the champion."""
    with world.opened() as engine:
        entries = audit.entries(engine)  # the chain holds
        with engine.connect() as connection:
            held, stamped = alias(connection, name), stamps(connection, name)
    assert replayed(entries, name) == held
    last = {
        entry.version: f"entry {entry.number}"
        for entry in entries
        if entry.model == name and entry.allowed and entry.action == "promote"
    }
    assert stamped == last
    return held


def test_many_at_once_leave_one_champion_and_a_linear_audit(world: World) -> None:
    versions = several(world, 4)
    name = versions[0].name
    draw = random.Random(7)
    wishes = [(draw.choice([GRACE, HEIDI]), draw.choice([*versions, None])) for _ in range(AT_ONCE)]

    def act(wish: tuple[User, Version | None]) -> requests.Response:
        user, version = wish
        return world.promote(user, version) if version else withdraw(world, user, name)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(act, wishes))
    assert [answer.text for answer in answers if not answer.ok] == []
    assert consistent(world, name) == world.champion(name)
    with world.opened() as engine:
        entries = [entry for entry in audit.entries(engine) if entry.model == name]
    promoted = [entry for entry in entries if entry.action == "promote"]
    assert len(promoted) == sum(version is not None for _, version in wishes)
    assert {entry.by for entry in promoted} == {GRACE.name, HEIDI.name}

    assert world.promote(HEIDI, versions[0]).ok
    assert consistent(world, name) == world.champion(name) == versions[0].version


def test_a_version_is_deleted_or_promoted_and_never_both(world: World) -> None:
    for _ in range(5):
        version = world.prove(world.register())
        with ThreadPoolExecutor(2) as pool:
            promoted = pool.submit(world.promote, GRACE, version)
            deleted = pool.submit(
                world.api,
                ADMIN,
                "DELETE",
                "model-versions/delete",
                name=version.name,
                version=version.version,
            )
        done = (promoted.result().ok, deleted.result().ok)
        assert done in [(True, False), (False, True)], (
            promoted.result().text,
            deleted.result().text,
        )
        held = consistent(world, version.name)
        assert held == (version.version if promoted.result().ok else None)


@pytest.mark.timeout(3000)
def test_a_killed_server_leaves_a_consistent_state(world: World) -> None:
    versions = several(world, 3)
    name = versions[0].name
    draw = random.Random(7)
    for _ in range(KILLS):
        begun = entries_of(world, name)
        acknowledged, over = [], threading.Event()

        def keep_going(
            user: User,
            seed: float,
            acknowledged: list[bool] = acknowledged,
            over: threading.Event = over,
        ) -> None:
            own = random.Random(seed)
            while not over.is_set():
                version = own.choice(versions)
                try:
                    acknowledged.append(world.promote(user, version).ok)
                except requests.RequestException:
                    return

        threads = [
            threading.Thread(target=keep_going, args=(user, draw.random()))
            for user in (GRACE, HEIDI)
        ]
        for thread in threads:
            thread.start()
        time.sleep(draw.uniform(0.02, 1.5))
        world.stop(signal.SIGKILL)
        over.set()
        for thread in threads:
            thread.join()
        try:
            assert all(acknowledged)
            written = entries_of(world, name) - begun
            assert len(acknowledged) <= written <= len(acknowledged) + len(threads)
            held = consistent(world, name)
        finally:
            world.restart()
        assert world.champion(name) == held
    assert world.promote(GRACE, versions[0]).ok
    assert consistent(world, name) == versions[0].version


def entries_of(world: World, name: str) -> int:
    with world.opened() as engine:
        return sum(entry.model == name for entry in audit.entries(engine))
