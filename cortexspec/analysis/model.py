"""The Model: one circuit after elaboration. Templates are expanded, names resolved, units and axes known.

Everything is a flat table of variables under dotted paths (`V.ss.v`, `V.ss.v'`, `between.weight`, `eye.mix.kernel`) and
the structures that tie them. Expressions here contain only numbers, `Reference`s to those paths, and calls of built-in
functions (`Call(Name("sigmoid"), ...)`) or of parts (`Call(Reference("fc1"), ...)`). Sizes are symbols in the axes
(`Axis("V", Size.symbol("V"))`) with their values in `Model.sizes`; a size written as a plain number stays a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from cortexspec.diagnostics import Span
from cortexspec.expressions.tree import Expression
from cortexspec.ir.types import Type
from cortexspec.units import Unit

Array = np.ndarray[Any, Any]
VariableKind = Literal["param", "state", "input", "let", "output", "attribute", "constant", "running", "noise", "data"]


@dataclass(frozen=True, slots=True)
class DataArray:
    """`key` of a data file, in coherent units (`unit_text` is the file's), an axis for each place. `digest` is of its numbers.

    `source` is where the file says that they are from.
    """

    file: str
    key: str
    array: Array = field(compare=False, repr=False)
    type: Type
    axes: tuple[str, ...]  # in the order of the array
    unit_text: str
    digest: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Variable:
    """One quantity. `type` is natural (before a constraint's transformation), with axes [instance, neuron, own] as named axes.

    `axes_written` keeps the public order of the axis names (instance, neuron, own...), which results are shown in.
    The first ones of them that its own place does not write (instance, neuron) are `around`: no reduction of its
    expression takes them. `side`: what `pre.A` or `post.A` reads, whose axis along the connection counts as around everywhere.
    `value` is the start of a trainable parameter or a state, and the definition of anything else; `draw` its distribution.
    A state of order n is n variables: `v`, `v'`, ... `constant` is a template argument's or loop's number that an expression reads.
    """

    path: str
    kind: VariableKind
    type: Type
    axes_written: tuple[str, ...] = ()
    value: Expression | None = None
    draw: Expression | None = None
    trainable: bool = False
    constraint: Expression | None = None
    unit_shown: str = ""
    span: Span | None = field(default=None, compare=False)
    around: tuple[str, ...] = ()
    side: bool = False


@dataclass(frozen=True, slots=True)
class Equation:
    """`left = right`, a differential equation of `order` in the state `state` (path without primes)."""

    state: str
    order: int
    left: Expression
    right: Expression
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Update:
    """`state <- value`; `every` in ms or steps, None for every step."""

    state: str
    value: Expression
    every: Expression | None = None
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Spike:
    """Detection, reset and refractory period of a population, or a drawn train (`distribution`)."""

    condition: Expression | None
    crosses: Expression | None
    resets: tuple[Update, ...]
    refractory: Expression | None
    surrogate: Expression | None
    distribution: Expression | None = None
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Population:
    """`axis` is the neuron axis, `instance_axes` those of the part arrays around it. Paths list this population's own variables.

    `lets` in written order; `ports` are inputs (several projections add up at each); `outputs` what others may read.
    """

    path: str
    neuron: str
    axis: str
    instance_axes: tuple[str, ...]
    params: tuple[str, ...]
    states: tuple[str, ...]
    ports: tuple[str, ...]
    lets: tuple[str, ...]
    outputs: tuple[str, ...]
    equations: tuple[Equation, ...]
    updates: tuple[Update, ...]
    spike: Spike | None = None
    noises: tuple[str, ...] = ()
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Synapse:
    """The synapse type's instance on one projection: its variables live under `PROJECTION.`; extents say per pre, post, connection."""

    type: str
    extents: Mapping[str, Literal["pre", "post", "connection"]]
    params: tuple[str, ...]
    states: tuple[str, ...]
    lets: tuple[str, ...]
    equations: tuple[Equation, ...]
    on_pre: tuple[Update, ...]
    on_post: tuple[Update, ...]
    send: Expression | None
    input: str
    output: Expression | None
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Projection:
    """What a `connect` makes. `source` is any readable expression (mostly a Reference), `target` the path of a port or circuit input.

    `weight` is the path of its variable or None for 1. `source_axes` and `target_axes` are the axes that are flattened on each side, by the
    names they have in the source and in the target; the weight's own axis names are in its Variable ("…_target"/"…_source" where both
    sides share an axis). `around`: the instance axes of the circuit that the `connect` stands in. `cuts` are blocks (target, source) that a
    variant removes after the wiring is drawn.
    """

    path: str
    source: Expression
    target: str
    source_axes: tuple[str, ...]
    target_axes: tuple[str, ...]
    rule: Expression | None
    weight: str | None
    delay: Expression | None = None
    synapse: Synapse | None = None
    read_new: bool = False
    dropout: Expression | None = None
    span: Span | None = field(default=None, compare=False)
    around: tuple[str, ...] = ()
    cuts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """An instance of a function with parameters.

    A text function has `inputs` (formal names), `lets` and `outputs` as variables under its path, whose expressions refer to the
    formals as `PATH.formal`; a built-in one (`dense`, `batch_norm`, ...) has `builtin` and static `settings`.
    """

    path: str
    function: str
    inputs: tuple[str, ...]
    params: tuple[str, ...]
    lets: tuple[str, ...]
    outputs: tuple[str, ...]
    builtin: bool = False
    settings: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Group:
    """Members' paths, end to end in written order, along `axis`, which has the group's name.

    `table_axis` runs over the members themselves, for tables such as `P[cells, cells]`; where every member is one neuron it is `axis`.
    """

    path: str
    members: tuple[str, ...]
    axis: str
    table_axis: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """`start path = e`: the initial value of a state (path with primes), from inputs without a time axis.

    A group's path stays a group's.
    """

    target: str
    value: Expression
    span: Span | None = field(default=None, compare=False)
    around: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Penalty:
    name: str
    value: Expression
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Model:
    """`time_unit` is the one dimension T of t and dt. `variables` is in dependency order where one is defined by others.

    `opaque` are variables, and names in expressions, that only a plugin which is not installed, or another experiment, could
    tell, each with its place; what reads them is not in the model, so nothing with them can be lowered. `unread` are those of them
    that read a data file, where there is no folder to read from.
    `removed` are the paths that a variant took away: wiring is drawn as in the same cell without the removal, then cut. `whole` is
    the model of that cell where a population is among them; None also where that cell by itself would be wrong.
    """

    circuit: str
    sizes: Mapping[str, int]
    variables: Mapping[str, Variable]
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    parts: tuple[Part, ...]
    groups: tuple[Group, ...]
    starts: tuple[Start, ...]
    penalties: tuple[Penalty, ...]
    inputs: tuple[str, ...]
    lets: tuple[str, ...]
    outputs: tuple[str, ...]
    time_unit: Unit
    uses: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    opaque: Mapping[str, Span | None] = field(default_factory=lambda: MappingProxyType({}), compare=False)
    unread: Mapping[str, Span | None] = field(default_factory=lambda: MappingProxyType({}), compare=False)
    entries: tuple[Any, ...] = field(default=(), compare=False)  # what plugins bring besides the built-in entries
    whole: Model | None = field(default=None, compare=False, repr=False)
    data: Mapping[str, DataArray] = field(default_factory=lambda: MappingProxyType({}))  # by the path of its variable


@dataclass(frozen=True, slots=True)
class MeasureModel:
    name: str
    value: Expression
    span: Span | None = field(default=None, compare=False)
    unit: Unit | None = None  # None where it is not known


@dataclass(frozen=True, slots=True)
class ClaimModel:
    """One row a combination of its `for` ranges. Expressions are as written (they read measures, not the circuit)."""

    text: str
    source: str
    value: Expression
    published: Expression | None
    within: Expression | None
    relative: bool
    of: Expression | None
    contradicts: str
    row: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ExperimentModel:
    """One experiment after `like`: what is asked of one circuit. One `Model` belongs to each (variant, arguments) cell.

    `simulate` and `train` keep settings by name as expressions (constants already folded to numbers with units); `vary` the
    axes: names zipped together and their rows of values; `variants` names in written order with the variant each is `of`.
    """

    name: str
    circuit: str
    dataset: Expression | None
    simulate: Mapping[str, Expression]
    train: Mapping[str, Expression] | None
    train_penalties: tuple[Penalty, ...]
    stimuli: tuple[tuple[str, Expression], ...]
    lets: tuple[tuple[str, Expression], ...]
    measures: tuple[MeasureModel, ...]
    vary: tuple[tuple[tuple[str, ...], tuple[tuple[Expression, ...], ...]], ...]
    variants: Mapping[str, str]
    claims: tuple[ClaimModel, ...]
    span: Span | None = field(default=None, compare=False)
