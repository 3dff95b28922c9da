"""What this version has from earlier ones, and what it loses against the champion."""

from __future__ import annotations

from hardgate import measurements
from hardgate.measurements import CHAMPION_EXISTS, REGRESSION_INPUTS, REGRESSION_SET_ASIDE
from hardgate.records import Ancestor
from hardgate.reporting import words
from hardgate.reporting.parts import Facts, Table
from hardgate.reporting.run import Run


def facts(run: Run) -> Facts:
    """Say what training began with, which versions samples were made against, what was kept."""
    asked = run.params.training.start == "champion"
    scratch = "from scratch; there was no champion yet" if asked else "from scratch"
    start = run.candidate.start
    found = [("Training began", f"with {_named(start)}" if start else scratch)]
    if run.corpus.earlier:
        named = words.listed([_named(each) for each in run.corpus.earlier])
        found.append(("Samples were made against", named))
    if kept := run.measured.get(REGRESSION_INPUTS):
        aside = run.measured.get(REGRESSION_SET_ASIDE)
        rest = f"; {words.value(aside)} more no longer fit data or threat" if aside else ""
        found.append(("Inputs that fooled earlier versions", f"{words.value(kept)}{rest}"))
    return tuple(found)


def losses(run: Run) -> Table | None:
    """List what the candidate loses, where there is a champion to lose against."""
    exists = run.measured.get(CHAMPION_EXISTS)
    if exists is None or exists.value == 0:
        return None
    asked = {
        "the champion is right and this version wrong, clean": measurements.negative_flips("clean"),
        "the same under attack": measurements.negative_flips("under_attack"),
        "inputs that fooled earlier versions and fool this one": measurements.regression_error(
            "candidate"
        ),
        "the same, the champion": measurements.regression_error("champion"),
    }
    rows = [
        (said, words.value(found), words.interval(found), f"{found.samples:,}")
        if (found := run.measured.get(name))
        else (said, "not measured", "", "")
        for said, name in asked.items()
    ]
    return Table(("share of samples", "value", "95 % interval", "samples"), tuple(rows))


def _named(ancestor: Ancestor) -> str:
    return f"version {ancestor.version} ({words.digest(ancestor.model_sha256)})"
