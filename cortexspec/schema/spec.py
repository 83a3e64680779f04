"""The one schema: what was written, item by item. The parser makes it, YAML and JSON load into it, Python builds it."""

from typing import Annotated, Literal

from pydantic import Field

from cortexspec.schema.base import Expression, SchemaNode
from cortexspec.schema.statement import Argument, Statement

FORMAT_VERSION = 1


class Use(SchemaNode):
    """`use vision` or `use "file.cortex"`."""

    kind: Literal["use"] = "use"
    names: tuple[str, ...] = ()
    file: str = ""
    doc: str = ""


class Formal(SchemaNode):
    """A template argument: `size: int = 4`, `τ: ms = 5 ms`. `type` is int, real, bool, text or a unit."""

    name: str
    type: str
    default: Expression | None = None


class Template(SchemaNode):
    """A neuron, synapse, function or circuit."""

    kind: Literal["neuron", "synapse", "function", "circuit"]
    name: str
    formals: tuple[Formal, ...] = ()
    body: tuple[Statement, ...] = ()
    doc: str = ""


class Experiment(SchemaNode):
    """`experiment NAME [of CIRCUIT(arguments)] [like OTHER] { }`."""

    kind: Literal["experiment"] = "experiment"
    name: str
    of: str = ""
    arguments: tuple[Argument, ...] = ()
    like: str = ""
    body: tuple[Statement, ...] = ()
    doc: str = ""


Item = Annotated[Use | Template | Experiment, Field(discriminator="kind")]


class Spec(SchemaNode):
    """A whole file. `Spec -> text -> Spec`, `Spec -> JSON -> Spec` and `Spec -> YAML -> Spec` are identities."""

    format_version: Literal[1] = FORMAT_VERSION
    doc: str = ""
    items: tuple[Item, ...] = ()
