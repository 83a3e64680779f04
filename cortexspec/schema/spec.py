"""The one schema: what was written, item by item. The parser makes it, YAML and JSON load into it, Python builds it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cortexspec.schema.base import (
    DocText,
    Expression,
    FormalType,
    Identifier,
    OptionalIdentifier,
    PlainText,
    SchemaNode,
)
from cortexspec.schema.statement import Argument, Statement

FORMAT_VERSION = 1


class Use(SchemaNode):
    """`use vision, text` or `use "file.cortex"`."""

    kind: Literal["use"] = "use"
    names: tuple[Identifier, ...] = ()
    file: PlainText = ""
    doc: DocText = ""

    @model_validator(mode="after")
    def _uses_one_thing(self) -> "Use":
        if bool(self.names) == bool(self.file):
            raise ValueError("`use` has either `names` of plugins or a `file`")
        return self


class Formal(SchemaNode):
    """A template argument: `size: int = 4`, `τ: ms = 5 ms`. `type` is int, real, bool, text or a unit."""

    name: Identifier
    type: FormalType
    default: Expression | None = None


class Template(SchemaNode):
    """A neuron, synapse, function or circuit."""

    kind: Literal["neuron", "synapse", "function", "circuit"]
    name: Identifier
    formals: tuple[Formal, ...] = ()
    body: tuple[Statement, ...] = ()
    doc: DocText = ""


class Experiment(SchemaNode):
    """`experiment NAME [of CIRCUIT(arguments)] [like OTHER] { }`."""

    kind: Literal["experiment"] = "experiment"
    name: Identifier
    of: OptionalIdentifier = ""
    arguments: tuple[Argument, ...] = ()
    like: OptionalIdentifier = ""
    body: tuple[Statement, ...] = ()
    doc: DocText = ""

    @model_validator(mode="after")
    def _gives_arguments_to_something(self) -> "Experiment":
        if self.arguments and not self.of:
            raise ValueError("`arguments` belong to the circuit of `of`")
        return self


Item = Annotated[Use | Template | Experiment, Field(discriminator="kind")]


class Spec(SchemaNode):
    """A whole file. `Spec -> text -> Spec`, `Spec -> JSON -> Spec` and `Spec -> YAML -> Spec` are identities."""

    format_version: Literal[1] = FORMAT_VERSION
    doc: DocText = ""
    items: tuple[Item, ...] = ()
