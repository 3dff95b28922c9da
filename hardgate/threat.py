"""The threat model: one section that training, evaluation and gates share.

A table's threat names the columns an attacker can change, in which direction and within which
bounds, and the relations between columns that must keep holding: a relation that the clean row
keeps, the adversarial row keeps too. Images are free everywhere within [0, 1].
"""

from __future__ import annotations

import ast
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from hardgate.errors import ParamsError
from hardgate.records import Norm, Radius, Record

# What an attacker sees, the most first: gradients too, the scores of answers, or answers alone.
Access = Literal["white-box", "score-based", "decision-based"]
ACCESSES: tuple[Access, ...] = get_args(Access)


class Linear(Record):
    """A linear inequality: the weighted sum of columns is at most ``bound``."""

    weights: dict[str, float]
    bound: float


def parse_relation(text: str) -> Linear:
    """Read ``"BILL_AMT2 - PAY_AMT1 <= BILL_AMT1"`` as a linear inequality.

    Column names with blanks or dots stand in backquotes.

    Raises
    ------
    ValueError
        If the text is not one linear ``<=`` or ``>=`` between columns and numbers.
    """
    names: dict[str, str] = {}
    plain = text
    while plain.count("`") >= 2:  # replace each quoted column by a word Python can parse
        before, quoted, after = plain.split("`", 2)
        word = f"_quoted{len(names)}"
        names[word] = quoted
        plain = before + word + after
    try:
        comparison = ast.parse(plain, mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"{text!r} is not a relation such as 'A + 2 * B <= C'") from error
    if not (
        isinstance(comparison, ast.Compare)
        and len(comparison.ops) == 1
        and isinstance(comparison.ops[0], ast.LtE | ast.GtE)
    ):
        raise ValueError(f"{text!r} must hold exactly one <= or >=")
    sign = 1.0 if isinstance(comparison.ops[0], ast.LtE) else -1.0
    left, left_constant = _linear(comparison.left, names, text)
    right, right_constant = _linear(comparison.comparators[0], names, text)
    weights = {
        name: sign * (left.get(name, 0.0) - right.get(name, 0.0)) for name in {**left, **right}
    }
    weights = {name: weight for name, weight in weights.items() if weight != 0}
    if not weights:
        raise ValueError(f"{text!r} names no column")
    return Linear(weights=weights, bound=sign * (right_constant - left_constant))


def _linear(node: ast.expr, names: dict[str, str], text: str) -> tuple[dict[str, float], float]:
    """Read one side as column weights and a constant."""
    match node:
        case ast.Name(id=word):
            return {names.get(word, word): 1.0}, 0.0
        case ast.Constant(value=int() | float() as number):
            return {}, float(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _scaled(_linear(operand, names, text), -1.0)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as operator, right=right):
            weights, constant = _linear(left, names, text)
            others, other = _scaled(
                _linear(right, names, text), 1.0 if isinstance(operator, ast.Add) else -1.0
            )
            merged = {n: weights.get(n, 0.0) + others.get(n, 0.0) for n in {**weights, **others}}
            return merged, constant + other
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() as operator, right=right):
            factors, factor = _linear(right, names, text)
            if isinstance(operator, ast.Mult) and factors:
                left, right = right, left
                factors, factor = _linear(right, names, text)
            if factors or (isinstance(operator, ast.Div) and factor == 0):
                raise ValueError(f"{text!r} is not linear")
            return _scaled(
                _linear(left, names, text), factor if isinstance(operator, ast.Mult) else 1 / factor
            )
        case _:
            raise ValueError(f"{text!r} may hold columns, numbers, + - * / and one <= or >= only")


def _scaled(side: tuple[dict[str, float], float], factor: float) -> tuple[dict[str, float], float]:
    weights, constant = side
    return {name: weight * factor for name, weight in weights.items()}, constant * factor


def _is_relation(text: str) -> str:
    parse_relation(text)
    return text


Relation = Annotated[str, AfterValidator(_is_relation)]


class Freedom(Record):
    """How an attacker can change one column; bounds are in the column's own units.

    Without ``min`` or ``max`` the training split's own range bounds the column. A categorical
    column has none of these: ``to`` names the categories that it can be switched to.
    """

    direction: Literal["both", "up", "down"] = "both"
    min: float | None = None
    max: float | None = None
    integer: bool = False
    to: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.min is not None and self.max is not None and not self.min < self.max:
            raise ValueError(f"min {self.min} is not below max {self.max}")
        if self.to and self.model_fields_set - {"to"}:
            raise ValueError("to is for categories, direction, min, max and integer for numbers")
        return self


class OneHot(Record):
    """Columns of which one is 1 and the others 0: an attacker moves the 1 to those in ``to``."""

    columns: Annotated[tuple[str, ...], Field(min_length=2)]
    to: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_a_block(self) -> Self:
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("a one-hot block names a column twice")
        if foreign := [name for name in self.to if name not in self.columns]:
            raise ValueError(f"to names {', '.join(foreign)}, which the block does not hold")
        return self


class Threat(Record):
    """Who attacks, how far, how often, and what he can touch.

    ``eps`` is in pixel units for images, a number of pixels for L0, and in standard deviations of
    the training split for tables. ``columns``, ``one_hot``, ``switches`` and ``relations``
    are for tables only. ``access`` is what the attacker is granted; an evaluation may use attacks
    that see more, never takes their result for less, and says which they are.
    """

    norm: Norm
    eps: Radius
    access: Access
    queries: PositiveInt  # per sample, for attacks that only ask
    columns: dict[str, Freedom] = Field(default_factory=dict)
    one_hot: tuple[OneHot, ...] = ()
    switches: PositiveInt | None = None  # categories that can change in one row
    relations: tuple[Relation, ...] = ()

    @model_validator(mode="after")
    def _switches_are_counted(self) -> Self:
        categories = self.one_hot or any(freedom.to for freedom in self.columns.values())
        if categories and self.switches is None:
            raise ValueError(
                "switches is missing: eps measures no categories, so say how many of the columns "
                "with to, and of the one-hot blocks, can change in one row"
            )
        if self.switches is not None and not categories:
            raise ValueError(
                "switches counts categories, and there is no column with to and no one-hot block"
            )
        return self

    @property
    def movable(self) -> frozenset[str]:
        """Name every column of a table that the attacker can change."""
        return frozenset(self.columns).union(*(block.columns for block in self.one_hot))

    def inequalities(self) -> tuple[Linear, ...]:
        """Parse the relations."""
        return tuple(parse_relation(text) for text in self.relations)

    def grants(self, needed: Access) -> bool:
        """Tell whether the attacker sees what an attack needs."""
        return ACCESSES.index(self.access) <= ACCESSES.index(needed)

    def check_images(self) -> None:
        """Refuse a threat that cannot be meant for pixels in [0, 1]."""
        if self.columns or self.relations or self.switches:
            raise ParamsError(
                "threat: columns, one_hot and relations are for tables; images have none"
            )
        if self.norm == "Linf" and self.eps >= 1:
            raise ParamsError(
                f"threat.eps: {self.eps} covers the whole pixel range [0, 1]; "
                f"write {self.eps:g}/255 if 8-bit steps were meant"
            )
        if self.norm == "L0" and not self.eps.is_integer():
            raise ParamsError(f"threat.eps: an L0 radius counts pixels, {self.eps:g} is no count")

    def check_tables(self) -> None:
        """Refuse a norm that is for images only."""
        if self.norm in ("L1", "L0"):
            raise ParamsError(
                f"threat.norm: {self.norm} is for images; rows of a table take Linf or L2"
            )
