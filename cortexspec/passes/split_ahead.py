"""Part a function in two: what parameters and buffers alone decide, and the rest, which reads it as inputs.

The rest is the same program for every network of a circuit: edge by edge wiring, for one, is a matrix by the time it gets there.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from cortexspec.ir.module import Function, Line, Value
from cortexspec.passes.loop import renamed, renamed_values
from cortexspec.passes.remove_dead import live_lines


def split_ahead(function: Function, known: Collection[str]) -> tuple[Function, Function] | None:
    """`NAME.ahead`, which reads inputs in `known` alone, and the function without its lines; None where it would be empty.

    What has no fixed size (the samples of a call) is computed with the rest, and so is what reads no input.
    """
    ready = {value.name for value in function.inputs if value.name in known}
    constant = set[str]()
    ahead, rest = list[Line](), list[Line]()
    for line in function.body:
        names = {operand.name for operand in line.operands}
        sized = not any(axis.role == "sample" for result in line.results for axis in result.type.axes)
        if sized and names <= ready | constant:
            kind = constant if names <= constant else ready
            kind.update(result.name for result in line.results)
            ahead.append(line)
            if kind is constant:
                rest.append(line)
        else:
            rest.append(line)
    made = {result.name for line in ahead for result in line.results if result.name in ready}
    read = {value.name for line in rest for value in line.operands} | {value.name for value in function.outputs}
    crossing = [result for line in ahead for result in line.results if result.name in made & read]
    if not crossing:
        return None
    given = {value.name: Value(f"ahead.{value.name}", value.type) for value in crossing}
    lines = live_lines((renamed(line, given) for line in rest), {value.name for value in function.outputs})
    outputs = renamed_values(function.outputs, given)
    wanted = {operand.name for line in lines for operand in line.operands} | {value.name for value in outputs}
    inputs = (*(value for value in function.inputs if value.name in wanted or value.name not in known), *given.values())
    before = live_lines(ahead, {value.name for value in crossing})
    needed = {operand.name for line in before for operand in line.operands}
    first = Function(
        f"{function.name}.ahead",
        tuple(value for value in function.inputs if value.name in needed),
        before,
        tuple(crossing),
        tuple(value.name for value in given.values()),
    )
    return first, replace(function, inputs=inputs, body=lines, outputs=outputs)
