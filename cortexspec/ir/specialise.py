"""Put numbers for size symbols, in every type and every attribute of a function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.op import Op
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type


def specialise(function: Function, sizes: Mapping[str, int]) -> Function:
    """The function for these sizes; symbols that `sizes` does not bind stay."""
    return _function(function, sizes) if sizes else function


def _function(function: Function, sizes: Mapping[str, int]) -> Function:
    seen: dict[str, Value] = {}

    def value(old: Value) -> Value:
        if old.name not in seen:
            seen[old.name] = Value(old.name, specialise_type(old.type, sizes))
        return seen[old.name]

    def line(old: Line) -> Line:
        results, operands = tuple(map(value, old.results)), tuple(map(value, old.operands))
        return Line(results, _op(old.op, sizes), operands, old.span)

    inputs, body = tuple(map(value, function.inputs)), tuple(map(line, function.body))
    return replace(function, inputs=inputs, body=body, outputs=tuple(map(value, function.outputs)))


def specialise_type(type_: Type, sizes: Mapping[str, int]) -> Type:
    return type_.with_axes(_attribute(type_.axes, sizes))


def _op(op: Op, sizes: Mapping[str, int]) -> Op:
    found = op.attributes()
    new = {name: _attribute(value, sizes) for name, value in found.items()}
    changed = {name: value for name, value in new.items() if value is not found[name]}
    entry: Any = op
    return replace(entry, **changed) if changed else op


def _attribute(value: Any, sizes: Mapping[str, int]) -> Any:
    match value:
        case Size():
            return value.bind(sizes)
        case Axis():
            return replace(value, size=value.size.bind(sizes))
        case Function():
            return _function(value, sizes)
        case tuple() if any(isinstance(entry, Axis | Size) for entry in value):  # type: ignore[misc]
            return tuple(_attribute(entry, sizes) for entry in value)  # type: ignore[misc]
        case _:
            return value
