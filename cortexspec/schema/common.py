"""Parts that many statements share: modifiers, arguments, uses of a type, ranges."""

from typing import Literal

from pydantic import model_validator

from cortexspec.schema.base import Expression, Identifier, OptionalIdentifier, SchemaNode


class Modifier(SchemaNode):
    """trainable | in C | ~ D | every T | per NAME; `value` is C, D or T, `extent` the NAME."""

    kind: Literal["trainable", "in", "~", "every", "per"]
    value: Expression | None = None
    extent: OptionalIdentifier = ""

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> "Modifier":
        if (self.value is not None) != (self.kind in ("in", "~", "every")) or bool(self.extent) != (self.kind == "per"):
            raise ValueError("`in`, `~` and `every` need a `value`, `per` needs an `extent`, `trainable` neither")
        return self


class Argument(SchemaNode):
    """`value`, `name = value`, or `name MODIFIERS` (then value is None)."""

    name: OptionalIdentifier = ""
    value: Expression | None = None
    modifiers: tuple[Modifier, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> "Argument":
        if not self.name and (self.value is None or self.modifiers):
            raise ValueError("an argument without a name is a value alone")
        if self.value is None and not self.modifiers:
            raise ValueError("an argument has a value or modifiers")
        return self


class TypeUse(SchemaNode):
    """A neuron, synapse, function or circuit type with its arguments: `neural_mass(κ = 50 Hz)`."""

    name: Identifier
    arguments: tuple[Argument, ...] = ()


class RangeOf(SchemaNode):
    """`n in xs`, or `[e, i] in pairs`."""

    names: tuple[Identifier, ...]
    values: Expression

    @model_validator(mode="after")
    def _names_something(self) -> "RangeOf":
        if not self.names:
            raise ValueError("a range names at least one variable")
        return self
