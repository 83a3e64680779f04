"""Drop what nothing reads, through loops: recordings, sums and states that no result depends on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from cortexspec.ir.module import Function, Line
from cortexspec.ir.ops.scan import Scan
from cortexspec.passes.loop import Loop, loop_of


def remove_dead(function: Function) -> Function:
    """Drop lines whose results nothing reads, and what a loop takes or gives in vain. Inputs and outputs stay."""
    return replace(function, body=live_lines(function.body, (value.name for value in function.outputs)))


def only(function: Function, name: str) -> Function:
    """What one output of a function takes: its lines and inputs."""
    (value,) = (one for one, output in zip(function.outputs, function.output_names, strict=True) if output == name)
    function = replace(function, outputs=(value,), output_names=(name,))
    return remove_unread(function, [one.name for one in function.inputs])


def remove_unread(function: Function, names: Collection[str]) -> Function:
    """`remove_dead`, and those of the named inputs that nothing reads."""
    function = remove_dead(function)
    read = {value.name for value in function.outputs}
    read |= {operand.name for line in function.body for operand in line.operands}
    return replace(function, inputs=tuple(one for one in function.inputs if one.name in read or one.name not in names))


def live_lines(lines: Iterable[Line], outputs: Iterable[str]) -> tuple[Line, ...]:
    """The lines that the named outputs depend on."""
    live, kept = set(outputs), list[Line]()
    for line in reversed(tuple(lines)):
        if not any(result.name in live for result in line.results):
            continue
        if isinstance(line.op, Scan):
            line = live_loop(loop_of(line), live).line()
        kept.append(line)
        live.update(operand.name for operand in line.operands)
    return tuple(reversed(kept))


def live_loop(loop: Loop, live: set[str]) -> Loop:
    """The loop with the live stacks and sums, and the carries that these or live results depend on."""
    stacks = tuple(given for given in loop.stacks if given.result.name in live)
    sums = tuple(given for given in loop.sums if given.result.name in live)
    carries = tuple(carry for carry in loop.carries if carry.result.name in live)
    while True:
        outputs = [carry.next.name for carry in carries] + [given.inside.name for given in (*stacks, *sums)]
        lines = live_lines(loop.lines, outputs)
        read = {operand.name for line in lines for operand in line.operands} | set(outputs)
        needed = tuple(c for c in loop.carries if c.result.name in live or c.inside.name in read)
        if len(needed) == len(carries):
            break
        carries = needed
    return replace(
        loop,
        lines=lines,
        consts=tuple(fed for fed in loop.consts if fed.inside.name in read),
        carries=carries,
        xs=tuple(fed for fed in loop.xs if fed.inside.name in read),
        stacks=stacks,
        sums=sums,
    )
