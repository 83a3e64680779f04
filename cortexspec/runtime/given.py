"""What a user gives as inputs, as arrays [trial, time where it has one, own...] in coherent units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from cortexspec.analysis.model import Model
from cortexspec.contracts.dataset import Field
from cortexspec.diagnostics import Diagnostic, Note, Span, SpecError
from cortexspec.ir.module import Module
from cortexspec.ir.op import Array
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Dtype, Type
from cortexspec.lowering.declarations import TIME, TRIAL
from cortexspec.runtime.quantities import coherent_array
from cortexspec.units import DIMENSIONLESS, parse_unit


@dataclass(frozen=True, slots=True)
class Given:
    """Inputs of the circuit and fields beside them (labels), each with the names of its axes. `trials` and `frames` are their lengths."""

    arrays: Mapping[str, Array]
    axes: Mapping[str, tuple[str, ...]]
    fields: Mapping[str, Type]
    trials: int
    frames: int | None

    @property
    def streams(self) -> tuple[str, ...]:
        """The circuit's inputs that have one frame a step."""
        return tuple(name for name, axes in self.axes.items() if TIME.name in axes and name not in self.fields)

    def arranged(self, name: str, order: Sequence[str]) -> Array:
        """The array with its axes in the order of a layout."""
        axes = self.axes[name]
        return self.arrays[name].transpose([axes.index(axis) for axis in order])


def read_inputs(
    model: Model, module: Module, inputs: Mapping[str, Any], trials: int | None, fields: bool = False
) -> Given:
    """`fields`: names that the circuit has not are fields, not mistakes.

    Raises: SpecError CS301 for an unknown name, CS805 for an input that is missing, CS501 for a shape that does not fit,
    CS806 for a value that is no finite number.
    """
    declared = {entry.value.name: entry for entry in module.inputs}
    _check_names(inputs, declared, fields)
    arrays: dict[str, Array] = {}
    axes: dict[str, tuple[str, ...]] = {}
    beside: dict[str, Type] = {}
    for name, entry in declared.items():
        variable = model.variables[name]
        own = variable.axes_written
        if name in inputs:
            array, leading = _leading(name, inputs[name], variable.type, own)
        elif entry.default is not None:
            shape = [axis.size for axis in (variable.type.axis(one) for one in own)]
            sizes = [size.evaluate(module.sizes) for size in shape]
            array, leading = np.full(sizes, entry.default), ()
        else:
            message = f"the circuit wants the input `{name}`"
            notes = (Note("declared here", variable.span),) if variable.span is not None else ()
            help = (
                f"give it, as `--input {name}=...` or `inputs = {{{name!r}: ...}}`, or a default where it is declared"
            )
            raise SpecError([Diagnostic("CS805", message, help=help, notes=notes)])
        arrays[name], axes[name] = array, (*leading, *own)
    _check_finite(model, arrays, inputs)
    for name in inputs:
        if name not in declared:
            arrays[name], axes[name], beside[name] = _field(name, inputs[name], model)
    count = _length(arrays, axes, TRIAL.name, trials)
    for name in arrays:
        if TRIAL.name not in axes[name]:
            arrays[name] = np.broadcast_to(arrays[name], (count, *arrays[name].shape))
            axes[name] = (TRIAL.name, *axes[name])
        elif len(arrays[name]) == 1 and count > 1:
            arrays[name] = np.broadcast_to(arrays[name], (count, *arrays[name].shape[1:]))
    _check_sizes(model, arrays, axes, declared, module.sizes)
    frames = [arrays[name].shape[axes[name].index(TIME.name)] for name in arrays if TIME.name in axes[name]]
    if len(set(frames)) > 1:
        raise SpecError([Diagnostic("CS501", f"inputs have {' and '.join(map(str, sorted(set(frames))))} frames")])
    return Given(arrays, axes, beside, count, frames[0] if frames else None)


def _check_finite(model: Model, arrays: Mapping[str, Array], inputs: Mapping[str, Any]) -> None:
    """What a data set brings is not looked through: it would be at every batch."""
    for name, array in arrays.items():
        if name in inputs and not isinstance(inputs[name], Field) and not np.isfinite(array).all():
            raise SpecError([not_finite("input", name, array, model.variables[name].span)])


def not_finite(kind: str, name: str, array: Array, span: Span | None) -> Diagnostic:
    """CS806 with the first value that is NaN or infinite, and where it is."""
    place = tuple(int(one) for one in np.argwhere(~np.isfinite(array))[0])
    where = f" at {list(place)}" if place else ""
    notes = (Note("declared here", span),) if span is not None else ()
    return Diagnostic("CS806", f"the {kind} `{name}` is given {array[place]}{where}", notes=notes)


def _check_names(inputs: Mapping[str, Any], declared: Mapping[str, Any], fields: bool) -> None:
    for name in inputs:
        if name not in declared and not fields:
            near = get_close_matches(name, list(declared), 1)
            known = ", ".join(f"`{one}`" for one in declared) or "none"
            help = f"did you mean `{near[0]}`?" if near else f"its inputs: {known}"
            raise SpecError([Diagnostic("CS301", f"the circuit has no input `{name}`", help=help)])


def _leading(name: str, value: Any, type_: Type, own: Sequence[str]) -> tuple[Array, tuple[str, ...]]:
    """The array and its axes in front of the own ones: none, trial, or trial and time."""
    if isinstance(value, Field):
        return np.asarray(value.array), value.axes
    dims = getattr(value, "dims", None)
    if dims is not None:
        names = [str(dim) for dim in dims]
        front = [axis for axis in (TRIAL.name, TIME.name) if axis in names]
        if sorted(names) != sorted([*front, *own]):
            message = f"`{name}` has the axes [{', '.join(own)}], it is given [{', '.join(names)}]"
            raise SpecError([Diagnostic("CS501", message)])
        array = np.asarray(value.values).transpose([names.index(axis) for axis in (*front, *own)])
        return coherent_array(array, type_.unit, f"the input `{name}`"), tuple(front)
    array = coherent_array(value, type_.unit, f"the input `{name}`")
    extra = array.ndim - len(own)
    if extra < 0 and array.ndim == 0:  # one value for all elements
        fixed = [type_.axis(axis).size.fixed for axis in own]
        if all(size is not None for size in fixed):
            return np.full([size or 0 for size in fixed], array), ()
    if extra not in (0, 1, 2):
        wanted = f"[{', '.join(own)}]" if own else "a single value"
        message = f"`{name}` is {wanted}, with trial and time in front where it has them; it is given {array.ndim} axes"
        raise SpecError([Diagnostic("CS501", message)])
    return array, (TRIAL.name, TIME.name)[:extra]


def _field(name: str, value: Any, model: Model) -> tuple[Array, tuple[str, ...], Type]:
    """A data field that is no input: its own axes are named after it. A recording keeps the axes and the unit it has."""
    if getattr(value, "dims", None) is not None:
        return _recorded(value, model)
    array = np.asarray(value.array if isinstance(value, Field) else value)
    leading = value.axes if isinstance(value, Field) else (TRIAL.name,)[: array.ndim]
    own = [Axis(f"{name}.{i}", Size.of(int(size))) for i, size in enumerate(array.shape[len(leading) :])]
    front = {TRIAL.name: TRIAL, TIME.name: TIME}
    dtype: Dtype = "float" if array.dtype.kind == "f" else "bool" if array.dtype.kind == "b" else "int"
    type_ = Type((*(front[axis] for axis in leading), *own), dtype)
    return array, (*leading, *(axis.name for axis in own)), type_


def _recorded(value: Any, model: Model) -> tuple[Array, tuple[str, ...], Type]:
    """An xarray.DataArray, such as a recording of another run."""
    known = {axis.name: axis for variable in model.variables.values() for axis in variable.type.axes}
    known |= {TRIAL.name: TRIAL, TIME.name: TIME}
    names = tuple(str(dim) for dim in value.dims)
    axes = [known.get(name, Axis(name, Size.of(int(value.sizes[name])))) for name in names]
    text = str(value.attrs.get("units", ""))
    unit, scale = parse_unit(text) if text not in ("", "1") else (DIMENSIONLESS, 1.0)
    return np.asarray(value.values, float) * scale, names, Type(tuple(axes), "float", unit)


def _length(arrays: Mapping[str, Array], axes: Mapping[str, tuple[str, ...]], axis: str, asked: int | None) -> int:
    found = {name: array.shape[axes[name].index(axis)] for name, array in arrays.items() if axis in axes[name]}
    counts = {count for count in found.values() if count != 1} or set(found.values())
    if asked is not None:
        counts |= {asked} if not counts - {1} else counts
        counts -= {1} if asked != 1 and len(counts) > 1 else set()
    if len(counts) > 1:
        names = " and ".join(f"`{name}` has {count}" for name, count in found.items())
        raise SpecError([Diagnostic("CS501", f"inputs differ in their number of trials: {names}")])
    return next(iter(counts), 1)


def _check_sizes(
    model: Model,
    arrays: Mapping[str, Array],
    axes: Mapping[str, tuple[str, ...]],
    declared: Mapping[str, Any],
    sizes: Mapping[str, int],
) -> None:
    for name in declared:
        type_ = model.variables[name].type
        for place, axis in enumerate(axes[name]):
            if not type_.has(axis) or not type_.axis(axis).size.symbols <= sizes.keys():
                continue
            wanted, found = type_.axis(axis).size.evaluate(sizes), arrays[name].shape[place]
            if wanted != found:
                message = f"the axis `{axis}` of the input `{name}` has {wanted} elements, it is given {found}"
                raise SpecError([Diagnostic("CS501", message)])
