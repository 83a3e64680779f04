"""Statements of synapses: what happens at a spike, and what is sent on."""

from typing import TYPE_CHECKING, Literal

from cortexspec.schema.base import Expression, Identifier, SchemaNode

if TYPE_CHECKING:
    from cortexspec.schema.statement import Statement


class On(SchemaNode):
    """`on pre { }`, `on post { }`."""

    kind: Literal["on"] = "on"
    event: Identifier
    body: "tuple[Statement, ...]" = ()


class Send(SchemaNode):
    """`send e`: what the spike delivers, before the weight."""

    kind: Literal["send"] = "send"
    value: Expression
