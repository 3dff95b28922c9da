"""The page that shows what was expected of the data, what was seen, and why it matters.

It is written here and not by Great Expectations, whose pages load scripts and styles from five
hosts and put cells of the data into them unescaped. This page needs no network, runs no script
and is the same for the same data.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hardgate import files
from tasks._objections import Answer

PAGE = "index.html"
TEMPLATE = "_data_docs.html"


def write(
    directory: Path,
    answers: Sequence[Answer],
    *,
    model: str,
    suite: Path,
    shape: tuple[int, int],
) -> Path:
    """Write the page into ``directory``, whole or not at all; give its path."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(TEMPLATE).render(
        model=model,
        suite=suite.name,
        rows=shape[0],
        columns=shape[1],
        answers=answers,
        broken=[answer for answer in answers if answer.objection is not None],
    )
    directory.mkdir(parents=True, exist_ok=True)
    files.write_text(directory / PAGE, page)
    return directory / PAGE
