"""Writes the lines of one function into another, under fresh names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops.scan import Scan


def inline(build: Builder, function: Function, arguments: Mapping[str, Value]) -> dict[str, Value]:
    """Copies the body of `function`; `arguments` has a value for each input, by name. Gives the outputs by public name.

    Raises: KeyError for an input without an argument, ValueError for one of another type.
    """
    seen: dict[str, Value] = {}
    for value in function.inputs:
        given = arguments[value.name]
        if given.type != value.type:
            wanted = f"{function.name} wants {value.name}: {value.type}"
            raise ValueError(f"{wanted}, it is given {given.name}: {given.type}")
        seen[value.name] = given
    for line in function.body:
        build.lines.append(copied(line, seen, build.names))
    return {name: seen[value.name] for name, value in zip(function.output_names, function.outputs, strict=True)}


def renamed(function: Function, names: Names) -> Function:
    """The same function with fresh names for all it assigns and reads; its public output names stay."""
    seen: dict[str, Value] = {}
    inputs = tuple(_fresh(value, seen, names) for value in function.inputs)
    body = tuple(copied(line, seen, names) for line in function.body)
    return replace(function, inputs=inputs, body=body, outputs=tuple(seen[value.name] for value in function.outputs))


def copied(line: Line, seen: dict[str, Value], names: Names) -> Line:
    """The line with its operands looked up in `seen` and fresh names for its results, which are entered there."""
    operands = tuple(seen.get(value.name, value) for value in line.operands)
    op = replace(line.op, body=renamed(line.op.body, names)) if isinstance(line.op, Scan) else line.op
    return Line(tuple(_fresh(value, seen, names) for value in line.results), op, operands, line.span)


def _fresh(value: Value, seen: dict[str, Value], names: Names) -> Value:
    seen[value.name] = Value(names.fresh(value.name), value.type)
    return seen[value.name]
