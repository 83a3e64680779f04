"""Parameters as inputs that differ between trials: trials of one program are then circuits with other values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Input, Line, Module, Value
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Expand
from cortexspec.ir.types import Axis, RuleError, Type


def each_trial(module: Module, names: Sequence[str], axis: Axis) -> Module:
    """The module with the raw parameters `names` as inputs with one value a trial, along `axis`.

    Every line keeps its meaning for each trial: its types follow from the rules of its operation once more.
    Raises: RuleError where a line has no form for each trial, ValueError where a loop would carry more than before.
    """
    if not names:
        return module
    chosen = {param.value.name: param.value for param in module.params if param.value.name in names}
    types = {name: value.type.with_axes((*value.type.axes, axis)) for name, value in chosen.items()}
    functions = {name: _function(function, types, axis) for name, function in module.functions.items()}
    return replace(
        module,
        params=tuple(param for param in module.params if param.value.name not in chosen),
        inputs=(*module.inputs, *(Input(Value(name, type_)) for name, type_ in types.items())),
        functions=MappingProxyType(functions),
    )


def _function(function: Function, types: Mapping[str, Type], axis: Axis) -> Function:
    """The function with inputs of other types, by name."""
    inputs = tuple(Value(value.name, types.get(value.name, value.type)) for value in function.inputs)
    build = Builder(Names.of(function))
    seen = {value.name: value for value in inputs}
    for line in function.body:
        _line(build, line, seen, axis)
    return replace(
        function,
        inputs=inputs,
        body=tuple(build.lines),
        outputs=tuple(seen[value.name] for value in function.outputs),
    )


def _line(build: Builder, line: Line, seen: dict[str, Value], axis: Axis) -> None:
    operands = tuple(seen[value.name] for value in line.operands)
    same = all(new.type == old.type for new, old in zip(operands, line.operands, strict=True))
    op = line.op
    if isinstance(op, Expand) and not same:  # the axis may be there by now
        op = replace(op, axes=tuple(one for one in op.axes if one.name not in operands[0].type.names))
        if not op.axes:
            seen[line.result.name] = operands[0]
            return
    if isinstance(op, Scan) and not same:
        op = _scan(op, operands, axis)
    types = tuple(value.type for value in line.results)
    if not same:
        try:
            types = tuple(op.rule(*(value.type for value in operands)))
        except RuleError:  # operands that are to be alike: all get the axis
            operands = tuple(_spread(build, value, axis) for value in operands)
            types = tuple(op.rule(*(value.type for value in operands)))
    results = tuple(Value(value.name, type_) for value, type_ in zip(line.results, types, strict=True))
    seen |= {value.name: value for value in results}
    build.lines.append(Line(results, op, operands, line.span))


def _spread(build: Builder, value: Value, axis: Axis) -> Value:
    return value if value.type.has(axis.name) else build.one(Expand((axis,)), value)


def _scan(op: Scan, operands: Sequence[Value], axis: Axis) -> Scan:
    """A loop whose constants and streams have other types. Raises: ValueError where its carry would change."""
    first = op.consts + op.carry
    outside = [value.type for value in operands]
    inside = [*outside[:first], *(type_.with_axes(type_.without([op.over.name])) for type_ in outside[first:])]
    types = {value.name: type_ for value, type_ in zip(op.body.inputs, inside, strict=True)}
    body = _function(op.body, types, axis)
    after = [value.type for value in body.outputs[: op.carry]]
    if after != inside[op.consts : first]:
        raise ValueError("a loop carries what does not differ between trials, and now would")
    return replace(op, body=body)


__all__ = ["each_trial"]
