"""docs/tutorial.md does what it says: every command runs as written and prints what is shown.

A block is run, written or compared by what stands behind its opening fence::

    bash                    runs; it ends in 0 unless the page says otherwise
    python NAME, ...        is written to that file; for YAML and JSON as the page asks the reader
    text                    the output of the block before, numbers aside; "..." leaves lines out
    sh                      sets up the machine, which the tests' machine is already
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
FENCED = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORTS = ("5000", "4200", "4300")
PASSWORD = "correct horse battery staple"


class Block(NamedTuple):
    language: str
    remark: str
    content: str


BLOCKS = [Block(*found) for found in FENCED.findall(PAGE.read_text(encoding="utf-8"))]


class Reader:
    """Somebody who does what the page says, in a project of their own."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.root = root
        self.environment = environment
        self.output = ""
        self.ports = {port: str(_free_port()) for port in PORTS}

    def follow(self, block: Block) -> None:
        match block.language:
            case "sh":
                assert "make setup" in block.content
            case "bash":
                if "@champion" in block.content:
                    self._approve()
                self._run(self._moved(block.content))
            case "text":
                self._compare(block.content)
            case _:
                self._edit(Path(block.remark), self._moved(block.content))

    def _moved(self, text: str) -> str:
        """Use ports that are free here."""
        for usual, free in self.ports.items():
            text = re.sub(rf"(:|-port ){usual}\b", rf"\g<1>{free}", text)
        return text

    def _run(self, code: str) -> None:
        kept = self.root.parent / "environment"
        done = subprocess.run(
            ["bash", "-euc", f"{code}\nenv -0 > {kept}"],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        self.output = done.stdout
        sys.stdout.write(f"$ {code}{done.stdout}{done.stderr}\n")
        assert done.returncode == 0, code
        pairs = (line.split("=", 1) for line in kept.read_text().split("\0") if line)
        self.environment = dict(pairs)

    def _approve(self) -> None:
        """Do what a person does in the registry's pages: name the challenger champion."""
        model = self._registry("get", {"name": "churn"})["registered_model"]
        aliases = {entry["alias"]: entry["version"] for entry in model["aliases"]}
        if "champion" not in aliases:
            body = {"name": "churn", "alias": "champion", "version": aliases["challenger"]}
            self._registry("alias", body)

    def _registry(self, call: str, body: dict[str, str]) -> Any:
        url = f"http://127.0.0.1:{self.ports['5000']}/api/2.0/mlflow/registered-models/{call}"
        request = urllib.request.Request(
            f"{url}?name={body['name']}" if call == "get" else url,
            data=None if call == "get" else json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": "Basic " + base64.b64encode(f"grace:{PASSWORD}".encode()).decode(),
            },
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def _compare(self, shown: str) -> None:
        printed = _plain(self.output)
        at = 0
        lines = [line for line in shown.splitlines() if line != "..."]
        for line in filter(None, map(_plain, lines)):
            found = printed.find(line, at)
            assert found >= 0, f"the page shows {line!r}, but this was printed:\n{self.output}"
            at = found + len(line)

    def _edit(self, name: Path, content: str) -> None:
        path = self.root / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if name.suffix == ".json":
            after = _with_expectation(before, json.loads(content))
        elif content.startswith("models:"):
            after, times = re.subn(r"^models: .*\n", content, before, flags=re.MULTILINE)
            assert times == 1
        else:
            after = f"{before}\n{content}" if name.suffix == ".yaml" else content
        path.write_text(after, encoding="utf-8")


def _plain(text: str) -> str:
    """Leave numbers, digests, rules and line breaks out."""
    text = re.sub(r"\b[0-9a-f]{8,}\b", "#", text)
    text = re.sub(r"-?\d+(\.\d+)?(e[-+]?\d+)?", "#", text)
    return " ".join(re.sub(r"[─━]+", "", text).split())


def _with_expectation(suite: str, entry: dict[str, Any]) -> str:
    """Put an entry in the place of the one about the same, or behind all."""
    document = json.loads(suite)
    entries = document["expectations"]

    def subject(one: dict[str, Any]) -> tuple[Any, ...]:
        return one["type"], one["kwargs"].get("column"), one["kwargs"].get("column_A")

    places = [at for at, other in enumerate(entries) if subject(other) == subject(entry)]
    at = places[0] if places else len(entries)
    entries[at : at + 1] = [entry]
    return json.dumps(document, indent=2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def somebody(root: Path, environment: dict[str, str]) -> Iterator[Reader]:
    reader = Reader(root, environment)
    try:
        yield reader
    finally:
        subprocess.run(
            [sys.executable, "-m", "hardgate.cli", "down"],
            cwd=root,
            env=environment,
            check=True,
            timeout=300,
        )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_tutorial_works_as_written(project: Any) -> None:
    shutil.copy2(ROOT / "params.yaml", project.root / "params.yaml")
    project.git("commit", "--all", "--quiet", "--message=The params that everybody starts with")
    binaries = Path(sys.executable).parent
    environment = project.environment() | {
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_HOME": str(project.root.parent / "prefect"),
        "COLUMNS": "100",
    }
    with somebody(project.root, environment) as reader:
        for block in BLOCKS:
            reader.follow(block)
    decision = json.loads((project.root / "runs/churn/promotion/decision.json").read_text())
    assert {finding["verdict"] for finding in decision["findings"]} == {"passed"}
    assert decision["version"] == "2"


def test_the_tutorial_shows_a_refusal_and_a_promotion() -> None:
    shown = "".join(block.content for block in BLOCKS if block.language == "text")
    assert "churn/1: refused" in shown
    assert "exit status 1" in shown
    assert "churn/2: promotable" in shown


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_is_one_that_the_test_follows(block: Block) -> None:
    assert block.language in {"sh", "bash", "text", "python", "yaml", "json"}
    assert block.content.strip()
    if block.language in {"sh", "text"} or block.language == "bash":
        assert not block.remark
    else:
        assert Path(block.remark).suffix == {"python": ".py"}.get(
            block.language, f".{block.language}"
        )
