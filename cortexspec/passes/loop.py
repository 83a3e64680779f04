"""A scan taken apart: each const, carry, x, stack and sum as a pair of its two sides, so that a pass can edit one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from cortexspec.diagnostics import Span
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops.scan import Scan


@dataclass(frozen=True, slots=True)
class Fed:
    """A const or an x: the operand outside and what the body calls it."""

    outside: Value
    inside: Value


@dataclass(frozen=True, slots=True)
class Carry:
    """`start` enters the loop, the body reads `inside` and gives `next`, `result` leaves the loop. `label` is public."""

    start: Value
    inside: Value
    next: Value
    result: Value
    label: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """A stack or a sum: the body's value and the result outside."""

    inside: Value
    result: Value
    label: str = ""


@dataclass(frozen=True, slots=True)
class Loop:
    """One scan line; `loop_of(line).line()` is the line again."""

    op: Scan
    lines: tuple[Line, ...]
    consts: tuple[Fed, ...]
    carries: tuple[Carry, ...]
    xs: tuple[Fed, ...]
    stacks: tuple[Given, ...]
    sums: tuple[Given, ...]
    span: Span | None

    def line(self) -> Line:
        inputs = (
            *(fed.inside for fed in self.consts),
            *(carry.inside for carry in self.carries),
            *(fed.inside for fed in self.xs),
        )
        labels = tuple(given.label for given in (*self.carries, *self.stacks, *self.sums))
        op = replace(
            self.op,
            body=Function(self.op.body.name, inputs, self.lines, self.outputs, labels),
            consts=len(self.consts),
            carry=len(self.carries),
            xs=len(self.xs),
            stack=len(self.stacks),
            sum=len(self.sums),
        )
        operands = (
            *(fed.outside for fed in self.consts),
            *(carry.start for carry in self.carries),
            *(fed.outside for fed in self.xs),
        )
        results = (
            *(carry.result for carry in self.carries),
            *(given.result for given in self.stacks),
            *(given.result for given in self.sums),
        )
        return Line(results, op, operands, self.span)

    @property
    def outputs(self) -> tuple[Value, ...]:
        """What the body gives: next carries, stacks, sums."""
        return (
            *(carry.next for carry in self.carries),
            *(given.inside for given in self.stacks),
            *(given.inside for given in self.sums),
        )


def loop_of(line: Line) -> Loop:
    op = line.op
    assert isinstance(op, Scan)
    body = op.body
    fed = [Fed(outside, inside) for outside, inside in zip(line.operands, body.inputs, strict=True)]
    given = [Given(*both) for both in zip(body.outputs, line.results, body.output_names, strict=True)]
    a, b = op.consts, op.consts + op.carry
    carries = tuple(
        Carry(enter.outside, enter.inside, leave.inside, leave.result, leave.label)
        for enter, leave in zip(fed[a:b], given[: op.carry], strict=True)
    )
    stacked = op.carry + op.stack
    return Loop(
        op,
        body.body,
        tuple(fed[:a]),
        carries,
        tuple(fed[b:]),
        tuple(given[op.carry : stacked]),
        tuple(given[stacked:]),
        line.span,
    )


Renaming = Mapping[str, Value]  # by name: a value's hash walks its type, a name's does not


def renamed(line: Line, by: Renaming) -> Line:
    """The line with its operands replaced. The body of a scan reads nothing but its inputs, so it stays."""
    if not any(operand.name in by for operand in line.operands):
        return line
    return replace(line, operands=tuple(by.get(operand.name, operand) for operand in line.operands))


def renamed_values(values: Iterable[Value], by: Renaming) -> tuple[Value, ...]:
    return tuple(by.get(value.name, value) for value in values)


def renamed_outputs(loop: Loop, by: Renaming) -> Loop:
    """The loop with what its body gives replaced."""
    return replace(
        loop,
        carries=tuple(replace(carry, next=by.get(carry.next.name, carry.next)) for carry in loop.carries),
        stacks=tuple(replace(given, inside=by.get(given.inside.name, given.inside)) for given in loop.stacks),
        sums=tuple(replace(given, inside=by.get(given.inside.name, given.inside)) for given in loop.sums),
    )


def in_every_body(function: Function, rewrite: Callable[[Function], Function]) -> Function:
    """`rewrite` applied to the innermost bodies first, then outward, then to the function itself."""
    lines = tuple(
        replace(line, op=replace(line.op, body=in_every_body(line.op.body, rewrite)))
        if isinstance(line.op, Scan)
        else line
        for line in function.body
    )
    return rewrite(replace(function, body=lines))


def readers(lines: Iterable[Line], outputs: Iterable[Value]) -> dict[str, int]:
    """How often each value is read, by the lines and as an output."""
    count: dict[str, int] = {}
    for value in (*(operand for line in lines for operand in line.operands), *outputs):
        count[value.name] = count.get(value.name, 0) + 1
    return count


def made_by(lines: Iterable[Line]) -> dict[str, Line]:
    """The line that makes each value."""
    return {result.name: line for line in lines for result in line.results}


def unchanging(loop: Loop) -> set[str]:
    """Names of the body that are the same in every turn."""
    fixed = {fed.inside.name for fed in loop.consts}
    for line in loop.lines:
        if all(operand.name in fixed for operand in line.operands):
            fixed.update(result.name for result in line.results)
    return fixed


def named(build: Builder, value: Value, wanted: str | Value) -> Value:
    """The value under another name, where the last line made it: a fresh one of this stem, or this very one."""
    last = build.lines[-1] if build.lines else None
    if last is None or last.results != (value,):
        return value
    new = wanted if isinstance(wanted, Value) else Value(build.names.fresh(wanted), value.type)
    build.lines[-1] = replace(last, results=(new,))
    return new
