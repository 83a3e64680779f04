"""The stage between a module and its program: sizes, start values, buffers. Drawn once, on the host, in float64."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.interpreter import run
from cortexspec.ir.module import Module, Value
from cortexspec.ir.op import Array
from cortexspec.ir.size import Size
from cortexspec.ir.types import Type


@dataclass(frozen=True, slots=True)
class Arrays:
    """Natural and raw parameters, and buffers, by dotted name; axes in the order of a layout that has only `trial` in it."""

    natural: Mapping[str, Array]
    raw: Mapping[str, Array]
    buffers: Mapping[str, Array]


def bind_sizes(
    module: Module, sizes: Mapping[str, int], inputs: Mapping[str, Array] | None = None, later: Collection[str] = ()
) -> dict[str, int]:
    """Every symbol that a parameter, buffer or state needs, but for those that drawn wiring tells, and those told `later`.

    `inputs` [trial, own...] tell those that the data bring.
    Raises: SpecError CS507 for a size that nothing tells, naming the input that would.
    """
    bound = {**module.sizes, **sizes}
    for entry in module.inputs:
        array = (inputs or {}).get(entry.value.name)
        if array is not None:
            bound |= {k: v for k, v in _sizes_in(entry.value.type, np.shape(array)).items() if k not in bound}
    wanted = (value.type for value in _declared(module))
    drawn = {*later} | {symbol for b in module.buffers if b.source == "wiring" for symbol in _symbols(b.value.type)}
    for symbol in dict.fromkeys(symbol for type_ in wanted for symbol in _symbols(type_)):
        if symbol not in bound and symbol not in ("trial", "time") and symbol not in drawn:
            raise SpecError([_unbound(module, symbol)])
    return bound


def _declared(module: Module) -> Iterable[Value]:
    yield from (param.value for param in module.params)
    yield from (buffer.value for buffer in module.buffers)
    yield from (state.value for state in module.states)


def _symbols(type_: Type) -> Iterable[str]:
    return (symbol for axis in type_.axes for symbol in sorted(axis.size.symbols))


def _sizes_in(type_: Type, shape: tuple[int, ...]) -> dict[str, int]:
    """Sizes of the own axes, which are the last ones of the array in the order of their names' declaration."""
    own = [axis for axis in type_.axes if axis.role == "plain"]
    found: dict[str, int] = {}
    for axis, length in zip(own, shape[len(shape) - len(own) :], strict=False):
        if len(axis.size.symbols) == 1 and axis.size == Size.symbol(next(iter(axis.size.symbols))):
            found[next(iter(axis.size.symbols))] = int(length)
    return found


def _unbound(module: Module, symbol: str) -> Diagnostic:
    for entry in module.inputs:
        own = [axis for axis in entry.value.type.axes if axis.role == "plain"]
        if any(symbol in axis.size.symbols for axis in own):
            name, shape = entry.value.name, ", ".join("..." for _ in own)
            return Diagnostic(
                "CS507",
                f"the size of the input `{name}` is taken from data, and none is here yet",
                help=f'give it: compile(..., shapes={{"{name}": ({shape})}})',
            )
    return Diagnostic("CS507", f"the size `{symbol}` is not known")


def start_arrays(
    module: Module, sizes: Mapping[str, int], seed: int, edges: Mapping[str, Array] | None = None
) -> Arrays:
    """The start values of a circuit for one seed. `edges` are the index buffers of its drawn wiring."""
    layout = module.layout
    given = {"seed": np.array(seed), **(edges or {})}
    started = {**given, **run(module.function("start"), given, sizes, layout)}
    params = [param.value.name for param in module.params]
    natural = {name: started[name] for name in params}
    buffers = {buffer.value.name: started[buffer.value.name] for buffer in module.buffers}
    return Arrays(natural, unconstrained(module, sizes, natural), buffers)


def unconstrained(module: Module, sizes: Mapping[str, int], natural: Mapping[str, Array]) -> dict[str, Array]:
    """Raw values of the given natural parameters."""
    return _through(module, "unconstrain", sizes, natural)


def constrained(module: Module, sizes: Mapping[str, int], raw: Mapping[str, Array]) -> dict[str, Array]:
    """Natural values of the given raw parameters."""
    return _through(module, "constrain", sizes, raw)


def _through(module: Module, way: str, sizes: Mapping[str, int], given: Mapping[str, Array]) -> dict[str, Array]:
    """The function on all parameters; those that are not given stand in as ones and are left out again."""
    function = module.function(way)
    from cortexspec.ir.op import Context

    context = Context(dict(sizes), module.layout, np.dtype("float64"))
    whole = {value.name: given.get(value.name, np.ones(context.shape(value.type))) for value in function.inputs}
    result = run(function, whole, sizes, module.layout)
    return {name: result[name] for name in given}
