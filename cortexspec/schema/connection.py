"""The `connect` statement."""

from typing import TYPE_CHECKING, Literal

from cortexspec.schema.base import Expression, OptionalIdentifier, SchemaNode

if TYPE_CHECKING:
    from cortexspec.schema.statement import Statement


class Connect(SchemaNode):
    """`connect [name:] source -> target { settings }`; settings are equations and set_modifiers on rule, weight, ..."""

    kind: Literal["connect"] = "connect"
    name: OptionalIdentifier = ""
    source: Expression
    target: Expression
    settings: "tuple[Statement, ...]" = ()
