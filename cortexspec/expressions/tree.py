"""The expression tree: immutable nodes, equal by what they say and not by where they stand.

Text, pydantic fields, YAML and JSON all hold expressions of this one kind. `resolve` in `analysis` replaces `Name` and
`Member` nodes by `Reference`s to dotted paths; nothing else makes a `Reference`.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from cortexspec.diagnostics import Span

BinaryOperator = Literal["or", "and", "==", "!=", "<=", ">=", "<", ">", "..", "+", "-", "*", "/", "@", "^"]
UnaryOperator = Literal["-", "not"]
ModifierKind = Literal["trainable", "in", "~", "every", "per"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A literal as written: `text` keeps the digits (so printing is the identity), `unit` the unit text or ""."""

    text: str
    unit: str = ""

    @property
    def value(self) -> float:
        return float(self.text)


@dataclass(frozen=True, slots=True)
class Text(Node):
    value: str


@dataclass(frozen=True, slots=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Reference(Node):
    """A name after resolution: the dotted path of a variable of the model, e.g. `V.ss.v`."""

    path: str


@dataclass(frozen=True, slots=True)
class Member(Node):
    """`owner.name`; name is "*" for every member."""

    owner: "Expression"
    name: str


@dataclass(frozen=True, slots=True)
class Derivative(Node):
    """`operand'`, `operand''`: order counts the primes."""

    operand: "Expression"
    order: int


@dataclass(frozen=True, slots=True)
class Modifier(Node):
    """trainable | in C (constraint) | ~ D (drawn) | every T (clock) | per NAME (extent).

    `value` is the constraint, distribution or interval; `extent` the NAME of `per`.
    """

    kind: ModifierKind
    value: "Expression | None" = None
    extent: str = ""


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """One argument of a call or an index; positional when `name` is "". `value` is None for `θ ~ D` and the like."""

    value: "Expression | None"
    name: str = ""
    modifiers: tuple[Modifier, ...] = ()


@dataclass(frozen=True, slots=True)
class Index(Node):
    operand: "Expression"
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Call(Node):
    function: "Expression"
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: UnaryOperator
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: BinaryOperator
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    """`[a, b, c] unit`."""

    items: tuple["Expression", ...]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Range(Node):
    """One `names in values` of a `for`; several names unpack a list of lists."""

    names: tuple[str, ...]
    values: "Expression"


@dataclass(frozen=True, slots=True)
class Comprehension(Node):
    item: "Expression"
    ranges: tuple[Range, ...]


Expression: TypeAlias = (
    Number | Text | Name | Reference | Member | Derivative | Index | Call | Unary | Binary | ListOf | Comprehension
)
