"""Move what a loop computes anew each time, always to the same result, in front of the loop."""

from __future__ import annotations

from dataclasses import replace

from cortexspec.ir.builder import Names
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops.scan import Scan
from cortexspec.passes.algebra import is_number
from cortexspec.passes.loop import Fed, Loop, loop_of, readers, renamed, renamed_outputs


def hoist(function: Function) -> Function:
    """Lines of a scan body that read only its consts run once, before the scan.

    Inner loops come first, so that a line climbs through as many loops as it can. A literal number without axes stays
    where it is read: it costs nothing there, and a program reads better with it.
    """
    return replace(function, body=_hoisted(function.body, Names.of(function)))


def _hoisted(lines: tuple[Line, ...], names: Names) -> tuple[Line, ...]:
    kept: list[Line] = []
    for line in lines:
        if isinstance(line.op, Scan):
            loop = loop_of(line)
            before, loop = _split(replace(loop, lines=_hoisted(loop.lines, names)), names)
            kept += [*before, loop.line()]
        else:
            kept.append(line)
    return tuple(kept)


def _split(loop: Loop, names: Names) -> tuple[list[Line], Loop]:
    """The lines that go in front of the loop, and the loop without them."""
    outside: dict[str, Value] = {fed.inside.name: fed.outside for fed in loop.consts}
    numbers: dict[str, Line] = {}
    before: list[Line] = []
    kept: list[Line] = []
    moved: list[Value] = []
    for line in loop.lines:
        if is_number(line):
            numbers[line.result.name] = line
            kept.append(line)
        elif all(operand.name in outside or operand.name in numbers for operand in line.operands):
            for operand in line.operands:
                if operand.name not in outside:
                    outside[operand.name] = _copied(numbers[operand.name], before, names)
            before.append(renamed(line, outside))
            moved += line.results
            outside.update((result.name, result) for result in line.results)
        else:
            kept.append(line)
    read = readers(kept, loop.outputs)
    inside = {value.name: Value(names.fresh(value.name), value.type) for value in moved if value.name in read}
    consts = tuple(Fed(outside[name], value) for name, value in inside.items())
    loop = replace(loop, consts=loop.consts + consts, lines=tuple(renamed(line, inside) for line in kept))
    return before, renamed_outputs(loop, inside)


def _copied(number: Line, before: list[Line], names: Names) -> Value:
    value = Value(names.fresh(number.result.name), number.result.type)
    before.append(replace(number, results=(value,)))
    return value
