"""What the pages name exists: commands, options, make targets, variables, links, pictures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main
import yaml

from hardgate.cli import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "data").rglob("*.md")),
    *sorted((ROOT / "expectations").rglob("*.md")),
]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
PICTURES = sorted((ROOT / "docs").glob("*.png"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code(page: Path) -> str:
    return "\n".join(CODE.findall(page.read_text(encoding="utf-8")))


def invocations(page: Path) -> list[tuple[str, str]]:
    """Every ``hardgate COMMAND`` in the page's code, with the rest of its line."""
    return re.findall(r"(?:^|[\s`])hardgate ([a-z]+)([^\n`|]*)", code(page))


def targets() -> dict[str, str]:
    return dict(re.findall(r"^([a-z]+):.*## (.+)$", MAKEFILE, re.MULTILINE))


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_and_option_on_a_page_exists(page: Path) -> None:
    for command, rest in invocations(page):
        assert command in COMMANDS, f"hardgate {command}"
        found = COMMANDS[command]
        if below := getattr(found, "commands", None):  # such as hardgate user add
            found = below[rest.split()[0]]
        known = {option for param in found.params for option in param.opts}
        known |= {option for param in found.params for option in param.secondary_opts}
        for option in re.findall(r"(?<!\S)(-[A-Za-z]|--[a-z-]+)", rest):
            assert option in known, f"hardgate {command} {option}"


def test_the_readme_names_every_command() -> None:
    assert {command for command, _ in invocations(ROOT / "README.md")} == set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_make_target_on_a_page_exists(page: Path) -> None:
    assert set(re.findall(r"(?:^|[\s`])make ([a-z]+)", code(page))) <= set(targets())


def test_every_make_target_says_what_it_does() -> None:
    phony = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert set(" ".join(phony).split()) == set(targets())


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_to_a_file_resolves(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file) if file else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def test_the_pictures_are_shown_and_small() -> None:
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    }
    pictures = {*PICTURES, *(ROOT / "docs").glob("*.svg")}
    assert pictures == shown
    assert all(picture.stat().st_size < 300_000 for picture in pictures)


def test_every_variable_of_the_code_is_explained_and_no_other() -> None:
    sources = [*(ROOT / "hardgate").rglob("*.py"), *(ROOT / "tasks").glob("*.py")]
    sources += [*(ROOT / "flows").glob("*.py"), ROOT / "prefect.yaml"]
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    read = set(re.findall(r"environ\.get\(\"(\w+)\"", text))
    read |= set(re.findall(r"\$(HARDGATE_\w+)", text))
    explained = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", README.split("## Settings")[1]))
    assert read <= explained
    assert {word for word in explained if word.startswith("HARDGATE_")} <= read


def test_the_models_that_are_called_built_in_are_in_the_params() -> None:
    models = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["models"]
    named = re.findall(r"^\| `(\w+)` \| .+\? \|", README, re.MULTILINE)
    assert len(named) == 3
    assert set(named) <= set(models)  # a project may have more of its own


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = set(LINK.findall((folder / "README.md").read_text(encoding="utf-8")))
    assert listed == {path.name for path in folder.glob("*.md")} - {"README.md"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_is_finished(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"@@|\bTODO\b|\bTBD\b|\bXXX\b", text)
