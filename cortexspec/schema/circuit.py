"""Statements of circuits: populations, parts, groups, attributes, starts, penalties, loops."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from cortexspec.schema.base import Expression, Identifier, SchemaNode, UnitText
from cortexspec.schema.common import RangeOf, TypeUse

if TYPE_CHECKING:
    from cortexspec.schema.statement import Statement


class Instance(SchemaNode):
    """`NAME[axes] : TYPE(arguments)`. `type` is None where a later name of the statement carries it (`v2, v3 : T`)."""

    name: Identifier
    axes: tuple[Expression, ...] = ()
    type: TypeUse | None = None


class Instances(SchemaNode):
    """`population` or `part` with its names."""

    kind: Literal["population", "part"]
    instances: Annotated[tuple[Instance, ...], Field(min_length=1)]


class Group(SchemaNode):
    """`group g = [a, b]`."""

    kind: Literal["group"] = "group"
    name: Identifier
    members: Expression


class Attribute(SchemaNode):
    """`attribute POP.NAME[shape] : unit = e`; target is the expression `POP.NAME[shape]`."""

    kind: Literal["attribute"] = "attribute"
    target: Expression
    unit: UnitText = ""
    value: Expression


class Start(SchemaNode):
    """`start path = e`; path may carry primes."""

    kind: Literal["start"] = "start"
    target: Expression
    value: Expression


class Penalty(SchemaNode):
    """`penalty NAME = e`, a named term of the loss."""

    kind: Literal["penalty"] = "penalty"
    name: Identifier
    value: Expression


class Loop(SchemaNode):
    """`for a in cells, b in cells { }`."""

    kind: Literal["for"] = "for"
    ranges: Annotated[tuple[RangeOf, ...], Field(min_length=1)]
    body: "tuple[Statement, ...]" = ()
