"""Categories that an attacker can switch: a code for another, or the 1 of a one-hot block.

A choice is a few columns and the options that can stand in them together. A row whose cells hold
one option can be switched to another that the threat names; a row that holds none, because the
category is missing or unknown, keeps what it has. A switch has no length in standard deviations,
so it costs no ``eps``: ``threat.switches`` counts how many choices of one row can differ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hardgate.errors import ParamsError
from hardgate.records import Column, ColumnType, TableInput
from hardgate.threat import OneHot, Threat


@dataclass(frozen=True, eq=False)
class Choice:
    """What can stand in ``c`` columns together."""

    columns: Tensor  # (c,), positions
    options: Tensor  # (k, c)
    to: Tensor  # (k,), bool: what the attacker can switch to

    def held(self, rows: Tensor) -> Tensor:
        """Tell which option each row holds, shape ``(n,)``; -1 for none."""
        same = (rows[:, self.columns].unsqueeze(1) == self.options).all(dim=2)
        return torch.where(same.any(dim=1), same.to(torch.uint8).argmax(dim=1), -1)

    def put(self, rows: Tensor, option: Tensor) -> Tensor:
        """Give rows with an option each, shape ``(n,)``, in place of what they hold."""
        return rows.index_copy(1, self.columns, self.options[option].to(rows))

    def differs(self, perturbed: Tensor, clean: Tensor) -> Tensor:
        """Mark the rows that were switched to an option that the attacker has, shape ``(n,)``."""
        before, after = self.held(clean), self.held(perturbed)
        return (before >= 0) & (after >= 0) & (before != after) & self.to[after.clamp(min=0)]

    def moved(self, like: Tensor) -> Choice:
        """Move to the device and precision of ``like``."""
        device = like.device
        return Choice(self.columns.to(device), self.options.to(like), self.to.to(device))


@dataclass(frozen=True, eq=False)
class Choices:
    """All choices of a threat, and how many of them can differ in one row."""

    each: tuple[Choice, ...]
    switches: int

    def __len__(self) -> int:
        """Count the options that the attacker has, of all choices."""
        return len(self._targets())

    def switched(self, perturbed: Tensor, clean: Tensor) -> Tensor:
        """Mark the cells of switched choices, ``(n, d)``, bool.

        None of a row in which more of them differ than can.
        """
        marked = torch.zeros_like(clean, dtype=torch.bool)
        count = torch.zeros(len(clean), dtype=torch.long, device=clean.device)
        for choice in self.each:
            differs = choice.differs(perturbed, clean)
            marked[:, choice.columns] = differs.unsqueeze(1)
            count += differs
        return marked & (count <= self.switches).unsqueeze(1)

    def put(self, rows: Tensor, clean: Tensor, option: Tensor) -> Tensor:
        """Put one of :func:`len` options into each row, shape ``(n,)``.

        Where that is one choice too many that differs from ``clean``, all others go back.
        """
        switched = self._put(rows, option)
        back, count = rows, torch.zeros(len(rows), dtype=torch.long, device=rows.device)
        for choice in self.each:
            back = back.index_copy(1, choice.columns, clean[:, choice.columns])
            count += (switched[:, choice.columns] != clean[:, choice.columns]).any(dim=1)
        over = (count > self.switches).unsqueeze(1)
        return torch.where(over, self._put(back, option), switched)

    def _put(self, rows: Tensor, option: Tensor) -> Tensor:
        targets = self._targets().to(rows.device)[option]
        for number, choice in enumerate(self.each):
            here = (targets[:, 0] == number).unsqueeze(1)
            within = targets[:, 1].clamp(max=len(choice.options) - 1)
            rows = torch.where(here, choice.put(rows, within), rows)
        return rows

    def _targets(self) -> Tensor:
        """List choice and option, a line for each that the attacker has."""
        lines = [
            (number, option)
            for number, choice in enumerate(self.each)
            for option in choice.to.nonzero().flatten().tolist()
        ]
        return torch.tensor(lines, dtype=torch.long).view(-1, 2)

    def moved(self, like: Tensor) -> Choices:
        """Move to the device and precision of ``like``."""
        return replace(self, each=tuple(choice.moved(like) for choice in self.each))


def build(threat: Threat, spec: TableInput) -> Choices:
    """Turn categorical columns with ``to`` and one-hot blocks into choices.

    Raises
    ------
    ParamsError
        If a block names an unknown or immutable column, one that stands elsewhere in the threat,
        or one that is not 0 or 1, or if a column has no such category; names the key.
    """
    coded = [
        _coded(at, column, threat.columns[column.name].to)
        for at, column in enumerate(spec.columns)
        if column.name in threat.columns and threat.columns[column.name].to
    ]
    taken: dict[str, str] = {}
    for text, inequality in zip(threat.relations, threat.inequalities(), strict=True):
        taken |= dict.fromkeys(inequality.weights, f"the relation {text!r}")
    taken |= dict.fromkeys(threat.columns, "threat.columns")
    blocks = []
    for number, block in enumerate(threat.one_hot):
        key = f"threat.one_hot.{number}"
        blocks.append(_block(key, block, taken, spec))
        taken |= dict.fromkeys(block.columns, key)
    return Choices((*coded, *blocks), threat.switches or 0)


def _coded(at: int, column: Column, to: tuple[str, ...]) -> Choice:
    """Turn the categories of a column into options: their codes."""
    for category in to:
        if category not in column.categories:
            raise ParamsError(
                f"threat.columns.{column.name}.to: {category!r} is no category of the column; it "
                f"has {', '.join(column.categories)}"
            )
    codes = torch.arange(len(column.categories), dtype=torch.float64)
    named = torch.tensor([category in to for category in column.categories])
    return Choice(torch.tensor([at]), codes.unsqueeze(1), named)


def _block(key: str, block: OneHot, taken: dict[str, str], spec: TableInput) -> Choice:
    """Turn a one-hot block into options: its unit vectors."""
    columns = {column.name: (at, column) for at, column in enumerate(spec.columns)}
    for name in block.columns:
        if name not in columns:
            raise ParamsError(
                f"{key}: the table has no column {name!r}; it has {', '.join(columns)}"
            )
        column = columns[name][1]
        if column.immutable or column.monotone:
            raise ParamsError(
                f"{key}: {name} is immutable or monotone by the dataset section; remove it here "
                "or there"
            )
        if name in taken:
            raise ParamsError(f"{key}: {name} also stands in {taken[name]}; keep one of them")
        if column.type is ColumnType.CATEGORICAL or (column.low, column.high) != (0.0, 1.0):
            raise ParamsError(
                f"{key}: {name} is {column.type} and runs from {column.low:g} to "
                f"{column.high:g}; the columns of a one-hot block are numbers, 0 or 1"
            )
    return Choice(
        torch.tensor([columns[name][0] for name in block.columns]),
        torch.eye(len(block.columns), dtype=torch.float64),
        torch.tensor([name in block.to for name in block.columns]),
    )
