"""Statements of experiments: sections, measures, stimuli, variants with their edits, claims."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from cortexspec.expressions import tree
from cortexspec.schema.base import Expression, Identifier, OptionalIdentifier, PlainText, SchemaNode
from cortexspec.schema.common import RangeOf, TypeUse
from cortexspec.schema.words import STATEMENT_WORDS

if TYPE_CHECKING:
    from cortexspec.schema.statement import Statement


class Retype(SchemaNode):
    """`cell : plain` in a variant."""

    kind: Literal["retype"] = "retype"
    name: Identifier
    type: TypeUse

    @model_validator(mode="after")
    def _begins_no_other_statement(self) -> "Retype":
        if self.name in STATEMENT_WORDS:
            raise ValueError(f"`{self.name}` begins a statement and cannot be a target")
        return self


class Remove(SchemaNode):
    """`remove periphery, around[periphery, core]`."""

    kind: Literal["remove"] = "remove"
    targets: Annotated[tuple[Expression, ...], Field(min_length=1)]


class Measure(SchemaNode):
    """`measure NAME = e`."""

    kind: Literal["measure"] = "measure"
    name: Identifier
    value: Expression


class Stimulus(SchemaNode):
    """`stimulus path = e`."""

    kind: Literal["stimulus"] = "stimulus"
    target: Expression
    value: Expression


class Section(SchemaNode):
    """`simulate { }`, `train { }`, `vary { }`."""

    kind: Literal["simulate", "train", "vary"]
    body: "tuple[Statement, ...]" = ()


class Variant(SchemaNode):
    """`variant NAME [of OTHER] { edits }`."""

    kind: Literal["variant"] = "variant"
    name: Identifier
    of: OptionalIdentifier = ""
    body: "tuple[Statement, ...]" = ()


class Claim(SchemaNode):
    """`claim "text" from "where": e [published x] [within tol [of y]] [contradicts "where"] [for n in xs]`."""

    kind: Literal["claim"] = "claim"
    text: PlainText
    source: PlainText
    value: Expression
    published: Expression | None = None
    within: Expression | None = None
    of: Expression | None = None
    contradicts: PlainText = ""
    ranges: tuple[RangeOf, ...] = ()

    @model_validator(mode="after")
    def _compares_within_something(self) -> "Claim":
        if self.of is not None and self.within is None:
            raise ValueError("`of` follows a `within`")
        return self

    @property
    def relative(self) -> bool:
        """`within 5 %` is a share of the reference; a tolerance that is not written in % is in the claim's own unit."""
        return isinstance(self.within, tree.Number) and self.within.unit == "%"
