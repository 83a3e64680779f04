"""The text form of the IR, `.cxir`: what `parse` reads back to an equal module.

    cortexspec ir 1
    module cells
    layout (E, sample)
    size E = 4
    axis E = <E>
    axis time = <time> time

    param %E.τ: float ms {natural = type(float ms), trainable = true}
    state %E.v: float[E, sample] mV {population = "E", neuron = "lif", variable = "v"}

    function step(%E.τ: float ms, %E.v: float[E, sample] mV, %dt: float ms) {
      %div: float = arith.div(%dt, %E.τ)
      %mul: float[E, sample] mV = arith.mul(%E.v, %div)
      return %mul as "E.v"
    }

An attribute of an operation says what it is: "text", 1, 1.0, true, (tuple), @axis, <size>, 'unit', type(...); those that have
their default are left out. An axis is defined once, above; one that differs there from its definition is written in full,
`E:<8>:sample`. A scan is followed by its body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields
from typing import Any

from cortexspec.ir.module import Buffer, Function, Input, Line, Module, Param, State, Value
from cortexspec.ir.op import Op
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.units import DIMENSIONLESS, Unit

PLAIN_NAME = re.compile(r"(?!(?:inf|nan)$)[^\W\d][\w.'~*#/-]*")
PLAIN_VALUE = re.compile(r"[\w.'~:*#/-]*[\w.'~*#/-]")
HEADER = "cortexspec ir"
INDENT = "  "
LONGEST = 110


def print_module(module: Module) -> str:
    """The whole module as text."""
    axes = axis_table([*_declared(module), *(v for f in module.functions.values() for v in values_of(f))])
    head = [f"{HEADER} {module.version}", f"module {name_text(module.name)}"]
    if module.layout.order:
        head.append("layout (" + ", ".join(map(name_text, module.layout.order)) + ")")
    head += [f"size {name_text(name)} = {value}" for name, value in sorted(module.sizes.items())]
    head += _axis_lines(axes)
    declarations = [_declaration(entry, axes) for entry in _entries(module)]
    functions = ["\n".join(function_lines(function, axes)) for function in module.functions.values()]
    blocks = ["\n".join(head), *(["\n".join(declarations)] if declarations else []), *functions]
    return "\n\n".join(blocks) + "\n"


def print_function(function: Function) -> str:
    """One function as text, its axes above it."""
    axes = axis_table(values_of(function))
    return "\n".join([*_axis_lines(axes), "", *function_lines(function, axes)]) + "\n"


Axes = dict[str, Axis]


def axis_table(values: Iterable[Value | Axis]) -> Axes:
    """Each axis name with its first definition, by name."""
    table: Axes = {}
    for value in values:
        for axis in (value,) if isinstance(value, Axis) else value.type.axes:
            table.setdefault(axis.name, axis)
    return dict(sorted(table.items()))


def values_of(function: Function) -> Iterable[Value | Axis]:
    """Every value of a function and of the bodies inside it, and every axis that an attribute names."""
    yield from function.inputs
    for line in function.body:
        yield from line.results
        for attribute in line.op.attributes().values():
            yield from _axes_in(attribute)


def _axes_in(attribute: Any) -> Iterable[Value | Axis]:
    match attribute:
        case Axis():
            yield attribute
        case Function():
            yield from values_of(attribute)
        case tuple():
            for entry in attribute:  # type: ignore[misc]
                yield from _axes_in(entry)
        case _:
            return


def _axis_lines(axes: Axes) -> list[str]:
    return [f"axis {name_text(axis.name)} = {_size_and_role(axis, ' ')}" for axis in axes.values()]


def _size_and_role(axis: Axis, between: str) -> str:
    return f"<{axis.size}>" + ("" if axis.role == "plain" else between + axis.role)


def _declared(module: Module) -> list[Value]:
    natural = [Value(param.value.name, param.natural) for param in module.params]
    return [*(entry.value for entry in _entries(module)), *natural]


def _entries(module: Module) -> Sequence[Param | Buffer | State | Input]:
    return (*module.params, *module.buffers, *module.states, *module.inputs)


def _declaration(entry: Param | Buffer | State | Input, axes: Axes) -> str:
    word = type(entry).__name__.lower()
    rest = attributes_text(entry, axes, leave_out=("value", "span"))
    return f"{word} {_typed(entry.value, axes)}{rest}"


def function_lines(function: Function, axes: Axes, word: str = "function") -> list[str]:
    inputs = [_typed(value, axes) for value in function.inputs]
    lines = _listed(f"{word} {name_text(function.name)}(", inputs, ") {")
    for line in function.body:
        lines += [INDENT + text for text in _line(line, axes)]
    outputs = [
        f"{value_text(value)}" + ("" if name == value.name else f" as {json.dumps(name, ensure_ascii=False)}")
        for value, name in zip(function.outputs, function.output_names, strict=True)
    ]
    return [*lines, *(INDENT + text for text in _listed("return ", outputs, "")), "}"]


def _line(line: Line, axes: Axes) -> list[str]:
    results = [_typed(value, axes) for value in line.results]
    operands = ", ".join(map(value_text, line.operands))
    bodies = [value for value in line.op.attributes().values() if isinstance(value, Function)]
    text = f" = {line.op.name}({operands}){attributes_text(line.op, axes)}"
    nested: list[str] = []
    for body in bodies:
        nested += [INDENT + inside for inside in function_lines(body, axes, "body")]
    if len(results) == 1:
        return [results[0] + text, *nested]
    return [*(f"{result}," for result in results[:-1]), *([results[-1] + text] if results else [text]), *nested]


def _listed(start: str, entries: Sequence[str], end: str) -> list[str]:
    """The entries on one line, or one a line where that would be too long."""
    short = f"{start}{', '.join(entries)}{end}".rstrip()
    if len(short) <= LONGEST:
        return [short]
    inside = [f"{INDENT}{entry}," for entry in entries[:-1]] + [f"{INDENT}{entries[-1]}{end}"]
    return [start.rstrip(), *inside]


def attributes_text(entry: Any, axes: Axes, leave_out: Sequence[str] = ()) -> str:
    """` {name = value, ...}` for the fields that differ from their default; "" where none do. Bodies are left out."""
    parts: list[str] = []
    for field in fields(entry):
        value = getattr(entry, field.name)
        if field.name in leave_out or isinstance(value, Function):
            continue
        if field.default is not MISSING and value == field.default and type(value) is type(field.default):
            continue
        parts.append(f"{field.name} = {attribute_text(value, axes)}")
    return " {" + ", ".join(parts) + "}" if parts else ""


def attribute_text(value: Any, axes: Axes) -> str:
    """Raises TypeError for a value that the text form does not know."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(float(value))
        case str():
            return json.dumps(value, ensure_ascii=False)
        case tuple():
            return "(" + ", ".join(attribute_text(entry, axes) for entry in value) + ")"  # type: ignore[misc]
        case Axis():
            return "@" + axis_text(value, axes)
        case Size():
            return f"<{value}>"
        case Unit():
            return f"'{value.name()}'"
        case Type():
            return f"type({type_text(value, axes)})"
        case _:
            raise TypeError(f"an attribute of type {type(value).__name__} has no text form")


def type_text(type_: Type, axes: Axes) -> str:
    inside = "[" + ", ".join(axis_text(axis, axes) for axis in type_.axes) + "]" if type_.axes else ""
    return f"{type_.dtype}{inside}" + ("" if type_.unit == DIMENSIONLESS else f" {type_.unit.name()}")


def axis_text(axis: Axis, axes: Axes) -> str:
    if axes.get(axis.name) == axis:
        return name_text(axis.name)
    return f"{name_text(axis.name)}:{_size_and_role(axis, ':')}"


def name_text(name: str) -> str:
    """The name, in quotes where it would not be read back as one."""
    return name if PLAIN_NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def value_text(value: Value) -> str:
    plain = PLAIN_VALUE.fullmatch(value.name)
    return "%" + (value.name if plain else json.dumps(value.name, ensure_ascii=False))


def _typed(value: Value, axes: Axes) -> str:
    return f"{value_text(value)}: {type_text(value.type, axes)}"


def op_text(op: Op) -> str:
    """The operation with its attributes, for messages."""
    entry: Any = op
    return f"{op.name}{attributes_text(entry, {})}"
