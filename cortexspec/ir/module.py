"""The IR as values: a Module has declarations and functions; a Function is single assignments over typed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from cortexspec.diagnostics import Span
from cortexspec.ir.types import Type

if TYPE_CHECKING:
    from cortexspec.ir.op import Op

IR_VERSION = 1

APART = "_apart"
"""Ends the name of a function's second form, which has an array for each population (`batch-populations`)."""


@dataclass(frozen=True, slots=True)
class Value:
    """One assigned name. Names are unique within a top-level function and the scan bodies inside it.

    Parameters, buffers, states and inputs have the name of their declaration in every function that reads them.
    """

    name: str
    type: Type

    def __str__(self) -> str:
        return f"%{self.name}"


@dataclass(frozen=True, slots=True)
class Line:
    """`results = op(operands)`; several results only for scan and random ops. `span`: the place in the spec."""

    results: tuple[Value, ...]
    op: Op
    operands: tuple[Value, ...]
    span: Span | None = field(default=None, compare=False)

    @property
    def result(self) -> Value:
        (value,) = self.results
        return value


@dataclass(frozen=True, slots=True)
class Function:
    """Reads nothing but its inputs. `output_names` are the public names of the outputs, one each."""

    name: str
    inputs: tuple[Value, ...]
    body: tuple[Line, ...]
    outputs: tuple[Value, ...]
    output_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.output_names:
            object.__setattr__(self, "output_names", tuple(value.name for value in self.outputs))


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter. `value` is the raw (trained) value, `path` its dotted name in the spec, which is also value.name.

    `constraint` is the printed constraint ("positive(by = exp)"), `reparametrised` whether raw and natural differ;
    `unit_shown` the unit in which the author wrote it. `natural` is the type of the natural value.
    """

    value: Value
    natural: Type
    trainable: bool
    constraint: str = ""
    reparametrised: bool = False
    unit_shown: str = ""
    span: Span | None = field(default=None, compare=False)


BufferRole = Literal["constant", "index", "running"]


@dataclass(frozen=True, slots=True)
class Buffer:
    """An array that is not trained: data, drawn wiring (index), running statistics (a program returns their new value).

    `source` says how bind gets it: "start" (the function `start` computes it), "wiring" (the edges of a projection, drawn on the host
    from what `wiring` gives), or "data:FILE:KEY:DIGEST".
    """

    value: Value
    role: BufferRole
    source: str = "start"
    derived_from: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """A state variable. `population` and `neuron` tell batching which states are of one kind; `variable` is v or v'."""

    value: Value
    population: str
    neuron: str
    variable: str
    unit_shown: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """An outer input. `stream`: one frame a step (it has a time axis outside the step); else constant over the run."""

    value: Value
    stream: bool = False
    default: float | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """One order of axis names for the whole module, which every array follows. The sample axis last is "batch last"."""

    order: tuple[str, ...] = ()

    def sort(self, names: frozenset[str] | tuple[str, ...]) -> tuple[str, ...]:
        """Names in layout order; names that the layout does not list come first, by name."""
        place = {name: i for i, name in enumerate(self.order)}
        return tuple(sorted(names, key=lambda name: (place.get(name, -1), name)))


@dataclass(frozen=True, slots=True)
class Module:
    """A program in the IR. `sizes` are what the size symbols are bound to at load; they take no part in the passes.

    Functions (those a circuit has): `wiring` () -> the arguments of connection rules; `start` () -> natural parameters and
    buffers; `unconstrain` natural -> raw, `constrain` raw -> natural, `project` raw -> raw after an optimiser's step;
    `init` -> state; `derivative`; `step`; `output`; `penalty`; then what `drive` makes: `rollout`, and
    `loss` or measures where they are asked for; `NAME_apart` is the same as NAME in another form.
    """

    name: str
    params: tuple[Param, ...] = ()
    buffers: tuple[Buffer, ...] = ()
    states: tuple[State, ...] = ()
    inputs: tuple[Input, ...] = ()
    functions: Mapping[str, Function] = field(default_factory=lambda: MappingProxyType({}))
    layout: Layout = Layout()
    sizes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    version: int = IR_VERSION

    def function(self, name: str) -> Function:
        """Raises KeyError."""
        return self.functions[name]

    def with_functions(self, **functions: Function) -> Module:
        from dataclasses import replace

        return replace(self, functions=MappingProxyType({**self.functions, **functions}))
