"""Compute in a loop, step by step, what is computed afterwards from everything that the loop kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import prod

from cortexspec.ir.builder import Names
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops.random import Draw
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.types import RuleError, Type
from cortexspec.passes.loop import Fed, Given, Loop, loop_of, readers


def into_loops(function: Function, sizes: Mapping[str, int]) -> Function:
    """Lines that treat each step of a stack by itself go into the loop, where it keeps less that way.

    A loop whose states are only read as one number for each step need not keep the states. What is summed over steps,
    or reads another step, stays behind the loop. `sizes` tell what less is; an unknown size counts as one.
    """
    lines = function.body
    for line in lines:
        if isinstance(line.op, Scan):
            lines = _into(lines, line, function, sizes)
    return replace(function, body=lines)


def _into(lines: tuple[Line, ...], line: Line, function: Function, sizes: Mapping[str, int]) -> tuple[Line, ...]:
    loop = loop_of(line)
    axis = loop.op.over.name
    at = lines.index(line)
    known = {value.name for value in function.inputs} | {value.name for one in lines[:at] for value in one.results}
    stacked = {given.result.name: given.inside for given in loop.stacks}
    taken = Names.of(function)
    before: list[Line] = []
    behind: list[Line] = []
    inside: list[Line] = []
    consts: dict[str, Fed] = {fed.outside.name: fed for fed in loop.consts}
    results: dict[str, Value] = {given.result.name: given.result for given in loop.stacks}
    for one in lines[at + 1 :]:
        names = [operand.name for operand in one.operands]
        if all(name in known for name in names) and not isinstance(one.op, Scan | Draw):
            before.append(one)
            known |= {value.name for value in one.results}
        elif all(
            v.name in stacked or (v.name in known and not v.type.has(axis)) for v in one.operands
        ) and _step_by_step(one, axis):
            read = [stacked.get(value.name) or _const(consts, value, taken) for value in one.operands]
            made = Value(taken.fresh(one.result.name), _without(one.result.type, axis))
            inside.append(replace(one, operands=tuple(read), results=(made,)))
            stacked[one.result.name], results[one.result.name] = made, one.result
        else:
            behind.append(one)
    read = readers(behind, function.outputs)
    kept = [name for name in stacked if name in read]
    if _elements(kept, results, sizes) >= _elements([given.result.name for given in loop.stacks], results, sizes):
        return lines
    labels = {given.result.name: given.label for given in loop.stacks}
    stacks = tuple(Given(stacked[name], results[name], labels.get(name, "")) for name in kept)
    new = replace(loop, lines=(*loop.lines, *inside), consts=tuple(consts.values()), stacks=stacks)
    return (*lines[:at], *before, _without_idle_consts(new).line(), *behind)


def _step_by_step(line: Line, axis: str) -> bool:
    """Whether a line does the same to each place of the axis: it never names it, and is allowed without it."""
    if len(line.results) != 1 or isinstance(line.op, Scan | Draw) or not line.result.type.has(axis):
        return False
    if axis in words_in(line.op.attributes()):
        return False
    try:
        (found,) = line.op.rule(*(_without(operand.type, axis) for operand in line.operands))
    except RuleError:
        return False
    return found == _without(line.result.type, axis)


def words_in(attributes: object) -> set[str]:
    """Every text among attributes, the names of axes included."""
    match attributes:
        case str():
            return {attributes}
        case dict():
            values: Iterable[object] = attributes.values()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        case tuple() | list():
            values = attributes  # pyright: ignore[reportUnknownVariableType]
        case _:
            name = getattr(attributes, "name", None)
            return {name} if isinstance(name, str) else set()
    return set[str]().union(*(words_in(one) for one in values))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _without(type_: Type, axis: str) -> Type:
    return type_.with_axes(type_.without([axis]))


def _const(consts: dict[str, Fed], value: Value, taken: Names) -> Value:
    if value.name not in consts:
        consts[value.name] = Fed(value, Value(taken.fresh(value.name), value.type))
    return consts[value.name].inside


def _without_idle_consts(loop: Loop) -> Loop:
    read = readers(loop.lines, loop.outputs)
    return replace(loop, consts=tuple(fed for fed in loop.consts if fed.inside.name in read))


def _elements(names: Iterable[str], values: Mapping[str, Value], sizes: Mapping[str, int]) -> int:
    def size(type_: Type) -> int:
        known = [{**dict.fromkeys(axis.size.symbols, 1), **sizes} for axis in type_.axes]
        return prod(axis.size.evaluate(each) for axis, each in zip(type_.axes, known, strict=True))

    return sum(size(values[name].type) for name in names)


__all__ = ["into_loops", "words_in"]
