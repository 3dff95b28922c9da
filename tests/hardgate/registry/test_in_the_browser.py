"""A release manager approves in MLflow's UI, in a real Chromium; who may not sees why.

The pictures land in ``build/screenshots`` and are there to be looked at.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as TookTooLong

from hardgate import gates
from hardgate.records import Decision
from hardgate.registry.rules import ModelRules
from tasks import _tracking
from tests.hardgate.registry.conftest import (
    GATES,
    GRACE,
    HEIDI,
    PIPELINE,
    SAM,
    User,
    Version,
    World,
    predicate_of,
)

pytestmark = pytest.mark.slow

PICTURES = Path(__file__).parents[3] / "build" / "screenshots"
PATIENCE = 30_000  # milliseconds
PENCIL = "button[data-component-id*='modelversionviewaliaseditor']"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "Debian's chromium is needed: apt-get install chromium"
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


Open = Callable[[User, Version], Page]


@pytest.fixture
def opened(chromium: Browser, sqlite_world: World) -> Iterator[Open]:
    """Log in and open a version's page."""
    contexts = []

    def go(user: User, version: Version) -> Page:
        context = chromium.new_context(
            http_credentials={"username": user.name, "password": user.password},
            viewport={"width": 1280, "height": 1000},
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(f"{sqlite_world.url}/#/models/{version.name}/versions/{version.version}")
        page.locator(PENCIL).wait_for()
        return page

    yield go
    for context in contexts:
        context.close()


@pytest.fixture
def challenger(sqlite_world: World) -> Version:
    """A proven version, with the page that the pipeline writes."""
    version = sqlite_world.prove(sqlite_world.register())
    predicate = predicate_of(version)
    policy = ModelRules.model_validate({"gates": GATES}).gates
    decision = Decision(
        model=version.name,
        version=version.version,
        made_from="0" * 64,
        findings=gates.decide(policy, predicate.measurements),
        evidence=predicate.suite,
        report=Path("runs/report.html"),
        decided_at=predicate.issued_at.isoformat(),
        valid_until=predicate.valid_until.isoformat(),
    )
    said = _tracking.words(decision, report="#/experiments", submitted_by=predicate.submitted_by)
    answer = sqlite_world.api(
        PIPELINE,
        "PATCH",
        "model-versions/update",
        name=version.name,
        version=version.version,
        description=said,
    )
    assert answer.ok, answer.text
    for key, value in _tracking.tags(decision).items():
        assert sqlite_world.tag(PIPELINE, version, key, value).ok
    assert sqlite_world.promote(PIPELINE, version, "challenger").ok
    return version


def picture(page: Page, name: str) -> None:
    with suppress(TookTooLong):
        page.wait_for_function("document.getAnimations().length === 0", timeout=2000)
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


def add_champion(page: Page) -> None:
    """The gesture of approval."""
    page.locator(PENCIL).click()
    dialog = page.get_by_role("dialog")
    box = dialog.get_by_role("combobox")
    box.click()
    box.fill("champion")
    box.press("Enter")
    dialog.get_by_role("button", name="Save aliases").click()


def test_a_release_manager_approves(sqlite_world: World, opened: Open, challenger: Version) -> None:
    page = opened(GRACE, challenger)
    for words in ("Passed every gate.", "Open the report", "sam", "data_contract", "champion"):
        expect(page.get_by_text(words, exact=False).first).to_be_visible()
    picture(page, "1-challenger")
    add_champion(page)
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_text("champion", exact=True).first).to_be_visible()
    assert sqlite_world.champion(challenger.name) == challenger.version
    page.reload()
    expect(page.get_by_text("approval.by")).to_be_visible()
    picture(page, "2-champion")


def test_a_version_without_evidence_is_refused_in_the_dialog(
    sqlite_world: World, opened: Open
) -> None:
    version = sqlite_world.register()
    page = opened(GRACE, version)
    add_champion(page)
    expect(page.get_by_role("dialog").get_by_text("no gate evidence is recorded")).to_be_visible()
    expect(
        page.get_by_role("dialog").get_by_text(f"hardgate harden {version.name}")
    ).to_be_visible()
    picture(page, "3-unproven-refused")
    assert sqlite_world.champion(version.name) is None


def test_who_submitted_it_is_refused_in_the_dialog(sqlite_world: World, opened: Open) -> None:
    version = sqlite_world.prove(sqlite_world.register(), submitted_by=HEIDI.name)
    page = opened(HEIDI, version)
    add_champion(page)
    expect(page.get_by_role("dialog").get_by_text("a second pair of eyes")).to_be_visible()
    picture(page, "4-submitter-refused")
    assert sqlite_world.champion(version.name) is None


@pytest.mark.parametrize(
    ("user", "words"), [(SAM, "Permission denied"), (PIPELINE, "release-manager")]
)
def test_another_user_is_refused_in_the_dialog(
    sqlite_world: World, opened: Open, challenger: Version, user: User, words: str
) -> None:
    page = opened(user, challenger)
    add_champion(page)
    expect(page.get_by_role("dialog").get_by_text(words)).to_be_visible()
    picture(page, f"5-{user.name}-refused")
    assert sqlite_world.champion(challenger.name) is None


def test_a_rollback_is_the_same_gesture(
    sqlite_world: World, opened: Open, challenger: Version
) -> None:
    newer = sqlite_world.prove(sqlite_world.register(challenger.name))
    for version in (challenger, newer):
        assert sqlite_world.promote(GRACE, version).ok
    page = opened(GRACE, challenger)
    add_champion(page)
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert sqlite_world.champion(challenger.name) == challenger.version
    picture(page, "6-rolled-back")
