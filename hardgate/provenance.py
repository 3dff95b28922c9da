"""Where things come from: digests of files, trees, records and of the code itself."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

BLOCK = 1 << 20
CODE = ("hardgate", "flows", "tasks", "pyproject.toml", "requirements.lock")
# MLflow's client adds this file when it downloads a registered model; it is not the model's.
NOT_OF_THE_MODEL = "registered_model_meta"


def canonical_json(value: Any) -> bytes:
    """Write ``value`` as JSON with one spelling only: sorted keys, no blanks, UTF-8, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def sha256_bytes(content: bytes) -> str:
    """Digest bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_json(value: Any) -> str:
    """Digest the canonical JSON of ``value``."""
    return sha256_bytes(canonical_json(value))


def sha256_file(path: Path) -> str:
    """Digest a file, streamed; memory does not grow with its size."""
    with path.open("rb") as file:
        return sha256_stream(file)


def sha256_stream(stream: BinaryIO) -> str:
    """Digest what is left of a stream, block by block."""
    digest = hashlib.sha256()
    while block := stream.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def files_below(root: Path) -> Iterator[Path]:
    """List a directory's files, relative to it and sorted, but MLflow's note on a download."""
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and relative != Path(NOT_OF_THE_MODEL):
            yield relative


def sha256_tree(root: Path) -> str:
    """Digest a directory: names and contents of every file below it."""
    return sha256_json({path.as_posix(): sha256_file(root / path) for path in files_below(root)})


@cache
def sha256_code() -> str:
    """Digest this library's own source: results of other code are other results."""
    root = Path(__file__).parent
    return sha256_json(
        {
            path.relative_to(root).as_posix(): sha256_file(path)
            for path in sorted(root.rglob("*.py"))
        }
    )


def git_commit(root: Path) -> str:
    """Name the commit of the code, with ``+changes`` when the code differs from it.

    Params, suites and data may differ: they are digested on their own.
    """
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--", *CODE)
    except (OSError, subprocess.CalledProcessError):
        return "not under version control"
    return f"{commit}+changes" if changed else commit


def _git(root: Path, *words: str) -> str:
    return subprocess.run(  # noqa: S603  fixed words only
        ["git", *words],  # noqa: S607  git from the PATH
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
