"""The threat model in words: who attacks, how far, and what they can touch."""

from __future__ import annotations

from hardgate.records import ColumnType, ImageInput, InputSpec, TableInput
from hardgate.reporting import words
from hardgate.reporting.parts import Facts, Table
from hardgate.reporting.run import Run
from hardgate.threat import Access, Threat

NORMS = {
    "Linf": "each of them by at most eps, all at once (Linf)",
    "L2": "all of them together by a Euclidean distance of at most eps (L2)",
    "L1": "all of them together by sums of changes of at most eps (L1)",
    "L0": "eps of them, as far as they like (L0)",
}
ACCESS: dict[Access, str] = {
    "white-box": "the weights, so that they can follow gradients (white-box)",
    "score-based": "nothing but the scores that answer what they ask (score-based)",
    "decision-based": "nothing but the class that answers what they ask (decision-based)",
}
DIRECTIONS = {"both": "up and down", "up": "up only", "down": "down only"}


def threat(run: Run) -> Facts:
    """Say in words who attacks, how far, how often, and what they can touch."""
    section, spec = run.params.threat, run.dataset.input
    touched = "every pixel, within [0, 1]"
    if isinstance(spec, TableInput):
        touched = (
            f"{len(section.columns)} of {len(spec.columns)} columns, listed below; "
            "nobody moves the others"
        )
    return (
        ("The attacker moves", touched),
        (
            "How far",
            f"{NORMS[section.norm]}, eps {words.plain(section.eps)} {_unit(section, spec)}",
        ),
        ("What they know", _access(section)),
        (
            "How often they ask",
            f"{words.count(section.queries, 'query')} per input, when they only ask",
        ),
    )


def _unit(threat: Threat, spec: InputSpec) -> str:
    if isinstance(spec, ImageInput) and threat.norm == "L0":
        return "pixels"
    if isinstance(spec, ImageInput):
        return f"of the pixel range 0 to 1, {threat.eps * 255:.3g} of 255 grey levels"
    return "standard deviations of the training split"


def _access(threat: Threat) -> str:
    return ACCESS[threat.access]


def attacker(threat: Threat, spec: InputSpec) -> str:
    """Say in one sentence what an attacker can change."""
    amount = f"{words.plain(threat.eps)} {_unit(threat, spec)} ({threat.norm})"
    if isinstance(spec, ImageInput):
        few = threat.norm == "L0"
        return f"any {amount}." if few else f"any pixel, by up to {amount}."
    relations = words.count(len(threat.relations), "relation")
    kept = f", while {relations} between columns must keep holding" if threat.relations else ""
    blocks = words.count(len(threat.one_hot), "one-hot block")
    switched = f", the category of {blocks}" if threat.one_hot else ""
    return f"{len(threat.columns)} of its columns, by up to {amount}{switched}{kept}."


def moves(run: Run) -> Table | None:
    """Say for each column that an attacker can move by how much, in the column's own unit."""
    section, spec = run.params.threat, run.dataset.input
    if not isinstance(spec, TableInput):
        return None
    rows = []
    limit = f"{words.count(section.switches or 0, 'category')} a row"
    for column in spec.columns:
        freedom = section.columns.get(column.name)
        if freedom and freedom.to:
            kept = f"{', '.join(freedom.to)}; {limit}"
            rows.append((column.name, "another category", "to any named", kept))
        elif freedom:
            low = column.low if freedom.min is None else freedom.min
            high = column.high if freedom.max is None else freedom.max
            whole = freedom.integer or column.type is ColumnType.INTEGER
            bounds = f"{words.amount(low)} to {words.amount(high)}"
            rows.append(
                (
                    column.name,
                    words.amount(section.eps * column.scale),
                    DIRECTIONS[freedom.direction],
                    f"{bounds}, whole numbers" if whole else bounds,
                )
            )
    rows += [
        (", ".join(block.columns), "the 1 moves", "to any named", f"{', '.join(block.to)}; {limit}")
        for block in section.one_hot
    ]
    return Table(("column", "by at most", "direction", "stays within"), tuple(rows))
