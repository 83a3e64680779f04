"""Statements of neurons, synapses and functions."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from cortexspec.expressions.print import print_equation_side
from cortexspec.schema.base import DeclaredUnit, Expression, Identifier, SchemaNode, StateName
from cortexspec.schema.common import Modifier
from cortexspec.schema.words import STATEMENT_WORDS, declared, opening_word

if TYPE_CHECKING:
    from cortexspec.schema.statement import Statement


class Declarator(SchemaNode):
    """`NAME[axes] : unit = value`. `name` may carry primes (`v'`) for the start of a derivative.

    `output r = e`, `output v` (the variable itself) and `output f + g` (unnamed: `name` is "", `value` the expression).
    """

    name: StateName = ""
    axes: tuple[Expression, ...] = ()
    unit: DeclaredUnit = ""
    value: Expression | None = None

    @model_validator(mode="after")
    def _declares_something(self) -> "Declarator":
        if not self.name:
            if self.value is None or self.axes:
                raise ValueError("a declaration without a name is a value alone")
            if declared(self.value) is not None:
                raise ValueError(f"`{print_equation_side(self.value)}` is a name: give it as `name`")
        return self


class Declare(SchemaNode):
    """`param`, `state`, `input`, `output` or `let` with its names; the modifiers hold for every name."""

    kind: Literal["param", "state", "input", "output", "let"]
    declarators: Annotated[tuple[Declarator, ...], Field(min_length=1)]
    modifiers: tuple[Modifier, ...] = ()

    @model_validator(mode="after")
    def _names_what_it_declares(self) -> "Declare":
        if self.kind != "output" and not all(declarator.name for declarator in self.declarators):
            raise ValueError(f"`{self.kind}` needs a name; only an output may be an expression alone")
        return self


class Equation(SchemaNode):
    """`left = right`: a differential equation where primes occur, else an assignment or an edit."""

    kind: Literal["equation"] = "equation"
    left: Expression
    right: Expression
    modifiers: tuple[Modifier, ...] = ()

    @model_validator(mode="after")
    def _begins_no_other_statement(self) -> "Equation":
        if word := opening_word(self.left):
            raise ValueError(f"`{word}` begins a statement and cannot begin an equation")
        return self


class SetModifiers(SchemaNode):
    """`hidden.τ trainable`, `weight ~ normal(0, 1)`."""

    kind: Literal["set_modifiers"] = "set_modifiers"
    target: Expression
    modifiers: Annotated[tuple[Modifier, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _begins_no_other_statement(self) -> "SetModifiers":
        if word := opening_word(self.target):
            raise ValueError(f"`{word}` begins a statement and cannot be a target")
        return self


class Update(SchemaNode):
    """`x <- e [every T]`."""

    kind: Literal["update"] = "update"
    name: Identifier
    value: Expression
    modifiers: tuple[Modifier, ...] = ()

    @model_validator(mode="after")
    def _begins_no_other_statement(self) -> "Update":
        if self.name in STATEMENT_WORDS:
            raise ValueError(f"`{self.name}` begins a statement and cannot be a target")
        return self


class Spike(SchemaNode):
    """`spike when C [crosses L] { } [refractory T] [surrogate f]`, or `spike ~ D` (then `distribution`)."""

    kind: Literal["spike"] = "spike"
    condition: Expression | None = None
    crosses: Expression | None = None
    body: "tuple[Statement, ...]" = ()
    refractory: Expression | None = None
    surrogate: Expression | None = None
    distribution: Expression | None = None

    @model_validator(mode="after")
    def _has_one_cause(self) -> "Spike":
        rest = (self.crosses, self.refractory, self.surrogate)
        if (self.condition is None) == (self.distribution is None):
            raise ValueError("a spike has either a `condition` or a `distribution`")
        if self.distribution is not None and (self.body or any(part is not None for part in rest)):
            raise ValueError("a drawn spike has a `distribution` and nothing else")
        return self


class Noise(SchemaNode):
    """`noise ξ, η`: white noise sources of a neuron."""

    kind: Literal["noise"] = "noise"
    names: Annotated[tuple[Identifier, ...], Field(min_length=1)]
