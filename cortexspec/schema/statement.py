"""Every statement of the language as a pydantic model, tagged by `kind`; a block is a tuple of statements in written order.

Written order is kept because `let` reads top down, a site's ordinal counts, and a spec prints back as it was written.
"""

from typing import Annotated, Literal

from pydantic import Field

from cortexspec.schema.base import Expression, SchemaNode


class Modifier(SchemaNode):
    """trainable | in C | ~ D | every T | per NAME; `value` is C, D or T, `extent` the NAME."""

    kind: Literal["trainable", "in", "~", "every", "per"]
    value: Expression | None = None
    extent: str = ""


class Argument(SchemaNode):
    """`value`, `name = value`, or `name MODIFIERS` (then value is None)."""

    name: str = ""
    value: Expression | None = None
    modifiers: tuple[Modifier, ...] = ()


class TypeUse(SchemaNode):
    """A neuron, synapse, function or circuit type with its arguments: `neural_mass(κ = 50 Hz)`."""

    name: str
    arguments: tuple[Argument, ...] = ()


class Declarator(SchemaNode):
    """`NAME[axes] : unit = value`. `name` may carry primes (`v'`) for the start of a derivative.

    `output r = e`, `output v` (the variable itself) and `output f + g` (unnamed: `name` is "", `value` the expression).
    """

    name: str = ""
    axes: tuple[Expression, ...] = ()
    unit: str = ""
    value: Expression | None = None


class Declare(SchemaNode):
    kind: Literal["param", "state", "input", "output", "let"]
    declarators: tuple[Declarator, ...]
    modifiers: tuple[Modifier, ...] = ()


class Instance(SchemaNode):
    """`NAME[axes] : TYPE(arguments)`. `type` is None where a later name of the same statement carries it (`v2, v3 : T`)."""

    name: str
    axes: tuple[Expression, ...] = ()
    type: TypeUse | None = None


class Instances(SchemaNode):
    kind: Literal["population", "part"]
    instances: tuple[Instance, ...]


class Group(SchemaNode):
    kind: Literal["group"] = "group"
    name: str
    members: Expression


class Attribute(SchemaNode):
    """`attribute POP.NAME[shape] : unit = e`; target is the expression `POP.NAME[shape]`."""

    kind: Literal["attribute"] = "attribute"
    target: Expression
    unit: str = ""
    value: Expression


class Equation(SchemaNode):
    """`left = right`: a differential equation where primes occur, else an assignment or an edit."""

    kind: Literal["equation"] = "equation"
    left: Expression
    right: Expression
    modifiers: tuple[Modifier, ...] = ()


class SetModifiers(SchemaNode):
    """`hidden.τ trainable`, `weight ~ normal(0, 1)`."""

    kind: Literal["set_modifiers"] = "set_modifiers"
    target: Expression
    modifiers: tuple[Modifier, ...]


class Retype(SchemaNode):
    """`cell : plain` in a variant."""

    kind: Literal["retype"] = "retype"
    name: str
    type: TypeUse


class Update(SchemaNode):
    """`x <- e [every T]`."""

    kind: Literal["update"] = "update"
    name: str
    value: Expression
    modifiers: tuple[Modifier, ...] = ()


class Spike(SchemaNode):
    """`spike when C [crosses L] { } [refractory T] [surrogate f]`, or `spike ~ D` (then `distribution`)."""

    kind: Literal["spike"] = "spike"
    condition: Expression | None = None
    crosses: Expression | None = None
    body: "tuple[Statement, ...]" = ()
    refractory: Expression | None = None
    surrogate: Expression | None = None
    distribution: Expression | None = None


class On(SchemaNode):
    kind: Literal["on"] = "on"
    event: str
    body: "tuple[Statement, ...]" = ()


class Send(SchemaNode):
    kind: Literal["send"] = "send"
    value: Expression


class Noise(SchemaNode):
    kind: Literal["noise"] = "noise"
    names: tuple[str, ...]


class Connect(SchemaNode):
    """`connect [name:] source -> target { settings }`; settings are equations and set_modifiers on rule, weight, ..."""

    kind: Literal["connect"] = "connect"
    name: str = ""
    source: Expression
    target: Expression
    settings: "tuple[Statement, ...]" = ()


class Start(SchemaNode):
    """`start path = e`; path may carry primes."""

    kind: Literal["start"] = "start"
    target: Expression
    value: Expression


class Remove(SchemaNode):
    kind: Literal["remove"] = "remove"
    targets: tuple[Expression, ...]


class Penalty(SchemaNode):
    kind: Literal["penalty"] = "penalty"
    name: str
    value: Expression


class Measure(SchemaNode):
    kind: Literal["measure"] = "measure"
    name: str
    value: Expression


class Stimulus(SchemaNode):
    kind: Literal["stimulus"] = "stimulus"
    target: Expression
    value: Expression


class Section(SchemaNode):
    kind: Literal["simulate", "train", "vary"]
    body: "tuple[Statement, ...]" = ()


class Variant(SchemaNode):
    kind: Literal["variant"] = "variant"
    name: str
    of: str = ""
    body: "tuple[Statement, ...]" = ()


class RangeOf(SchemaNode):
    names: tuple[str, ...]
    values: Expression


class Claim(SchemaNode):
    """`claim "text" from "where": e [published x] [within tol [of y]] [contradicts "where"] [for n in xs]`."""

    kind: Literal["claim"] = "claim"
    text: str
    source: str
    value: Expression
    published: Expression | None = None
    within: Expression | None = None
    within_percent: bool = False
    of: Expression | None = None
    contradicts: str = ""
    ranges: tuple[RangeOf, ...] = ()


class Loop(SchemaNode):
    kind: Literal["for"] = "for"
    ranges: tuple[RangeOf, ...]
    body: "tuple[Statement, ...]" = ()


Statement = Annotated[
    Declare
    | Instances
    | Group
    | Attribute
    | Equation
    | SetModifiers
    | Retype
    | Update
    | Spike
    | On
    | Send
    | Noise
    | Connect
    | Start
    | Remove
    | Penalty
    | Measure
    | Stimulus
    | Section
    | Variant
    | Claim
    | Loop,
    Field(discriminator="kind"),
]

for _model in (Spike, On, Connect, Section, Variant, Loop):
    _model.model_rebuild()
