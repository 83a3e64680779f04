"""Reverse-mode derivatives of a function, loops included, written as another function of the IR.

The cotangent of a value is how the output changes with it: its unit is the output's over the value's, its axes are the
value's. Lines are swept backwards, each one's pullback writes the cotangents of its operands. A loop becomes two: the
forward loop also stacks what its reverse loop will read (its residuals), and the reverse loop runs from the last step to the
first. There the cotangents of the carry are the carry, those of constants are sums over time, those of streamed operands
are stacks.

What the forward loop keeps is the loop's own save policy (`Scan.save`):

    "carry"       only the carry; the reverse loop computes the step again
    "residuals"   every value that the reverse step reads, save those that cost nothing to redo (`Op.saved`)
    names         these values of the body, and the carry where it is read; the rest is computed again

Inner loops are treated first, so a loop of loops under "carry" recomputes one inner loop, with its residuals, at a time:
that is checkpointing (`checkpoint`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.inline import copied
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Concat
from cortexspec.ir.types import Type
from cortexspec.passes.loop import Carry, Fed, Given, Loop, loop_of, made_by, renamed, renamed_values
from cortexspec.passes.remove_dead import live_lines, remove_dead
from cortexspec.passes.sums_of_blocks import sums_of_blocks
from cortexspec.units import DIMENSIONLESS, Unit


def differentiate(function: Function, wrt: Sequence[str], output: str = "loss") -> Function:
    """`NAME_value_and_grad`: the outputs of the function, then the gradient of `output` as `grad:PATH` for `wrt`.

    Raises: KeyError for a name that is no input or output, ValueError for an output with axes or an input that is no
    float.
    """
    wanted = _inputs(function, wrt)
    target = function.outputs[function.output_names.index(_known(output, function.output_names))]
    if target.type.axes or target.type.dtype != "float":
        raise ValueError(f"only a number has a gradient, {output} is {target.type}")
    sweep = _Sweep(function.body, wrt, Names.of(function), target.type.unit)
    build = Builder(sweep.names)
    sweep.seed(build, target, write.const(build, 1.0, hint=f"d_{target.name}"))
    sweep.back(build)
    gradients = [sweep.cotangent(build, value) for value in wanted]
    reverse = live_lines(build.lines, (gradient.name for gradient in gradients))
    reverse = sums_of_blocks(sweep.lines, reverse, gradients, sweep.names)
    return remove_dead(
        Function(
            f"{function.name}_value_and_grad",
            function.inputs,
            (*sweep.lines, *reverse),
            (*function.outputs, *gradients),
            (*function.output_names, *(f"grad:{name}" for name in wrt)),
        )
    )


def forward_and_backward(function: Function, wrt: Sequence[str]) -> tuple[Function, Function]:
    """The split form: `NAME_forward` gives the outputs, then residuals; `NAME_backward` gives the gradients `grad:PATH`.

    `NAME_backward` reads, each under its name: inputs of the function, residuals, and the cotangent `d:OUTPUT` of each
    float output. Cotangents of several outputs meet in one gradient, so what is differentiated is taken as a pure number:
    a gradient has one over the unit of its input.
    """
    wanted = _inputs(function, wrt)
    sweep = _Sweep(function.body, wrt, Names.of(function), DIMENSIONLESS)
    build = Builder(sweep.names)
    seeds: list[Value] = []
    for name, value in zip(function.output_names, function.outputs, strict=True):
        if value.type.dtype == "float":
            seeds.append(Value(f"d:{name}", sweep.type_of(value)))
            sweep.seed(build, value, seeds[-1])
    sweep.back(build)
    gradients = [sweep.cotangent(build, value) for value in wanted]
    reverse = live_lines(build.lines, (gradient.name for gradient in gradients))
    lines = sums_of_blocks(sweep.lines, reverse, gradients, sweep.names)
    again = _Again(sweep.lines, lines, gradients, "residuals", seeds, inputs=function.inputs)
    own = [value for value in function.inputs if value.name in again.read]
    # Also what is an output is kept under a name of its own: an output may be called like another value.
    taken = set(function.output_names)
    own_name = {name: Value(_free(sweep.names, name, taken), value.type) for name, value in again.saved.items()}
    residuals = tuple(own_name.values())
    forward = Function(
        f"{function.name}_forward",
        function.inputs,
        sweep.lines,
        (*function.outputs, *again.saved.values()),
        (*function.output_names, *(value.name for value in residuals)),
    )
    backward = Function(
        f"{function.name}_backward",
        (*own, *residuals, *seeds),
        tuple(renamed(line, own_name) for line in again.lines),
        renamed_values(gradients, own_name),
        tuple(f"grad:{name}" for name in wrt),
    )
    return remove_dead(forward), backward


def _free(names: Names, name: str, taken: set[str]) -> str:
    """The name, or one like it that is not taken."""
    while name in taken:
        name = names.fresh(name)
    return name


def _inputs(function: Function, wrt: Sequence[str]) -> list[Value]:
    known = {value.name: value for value in function.inputs}
    wanted = [known[_known(name, known)] for name in wrt]
    for value in wanted:
        if value.type.dtype != "float":
            raise ValueError(f"nothing is differentiable in {value.name}: {value.type}")
    return wanted


def _known(name: str, names: Iterable[str]) -> str:
    if name not in names:
        raise KeyError(name)
    return name


class _Sweep:
    """A backward sweep over lines. `lines` are the forward lines; loops among them get their residuals on the way."""

    def __init__(self, lines: Sequence[Line], inputs: Iterable[str], names: Names, unit: Unit):
        self.lines = tuple(lines)
        self.names = names
        self.unit = unit
        self.varied = varied_names(lines, inputs)
        self._cotangents: dict[str, Value] = {}

    def type_of(self, value: Value) -> Type:
        """The type of the cotangent."""
        return Type(value.type.axes, "float", self.unit / value.type.unit)

    def seed(self, build: Builder, value: Value, cotangent: Value) -> None:
        """Adds to the cotangent of a value, where it depends on an input of the derivative."""
        if value.name not in self.varied:
            return
        known = self._cotangents.get(value.name)
        self._cotangents[value.name] = cotangent if known is None else write.add(build, known, cotangent)

    def has(self, value: Value) -> bool:
        return value.name in self._cotangents

    def cotangent(self, build: Builder, value: Value) -> Value:
        """The cotangent, zeros where nothing flows back."""
        known = self._cotangents.get(value.name)
        return write.zeros(build, self.type_of(value)) if known is None else known

    def back(self, build: Builder) -> None:
        """Writes the pullbacks of all lines, last line first."""
        forward: list[Line] = []
        for line in reversed(self.lines):
            if any(self.has(result) for result in line.results):
                build.span = line.span
                if isinstance(line.op, Scan):
                    line = self._loop(build, loop_of(line))
                else:
                    self._line(build, line)
            forward.append(line)
        self.lines = tuple(reversed(forward))
        build.span = None

    def _line(self, build: Builder, line: Line) -> None:
        cotangents = [self._cotangents.get(result.name) for result in line.results]
        flows = line.op.pullback(build, cotangents, line.operands, line.results)
        for operand, flow in zip(line.operands, flows, strict=True):
            if flow is not None:
                self.seed(build, operand, flow)

    def _loop(self, build: Builder, loop: Loop) -> Line:
        """Writes the reverse loop; gives the forward loop with its residuals."""
        forward, reverse = _reverse_loop(self, build, loop)
        if reverse is not None:
            line = reverse.loop.line()
            build.lines.append(line)
            for operand, flow in reverse.flows:
                self.seed(build, operand, flow)
        return forward.line()


@dataclass(frozen=True, slots=True)
class _Reversed:
    """The reverse loop, and which of its results is the cotangent of which operand of the forward loop."""

    loop: Loop
    flows: tuple[tuple[Value, Value], ...]


def _reverse_loop(outer: _Sweep, build: Builder, loop: Loop) -> tuple[Loop, _Reversed | None]:
    names = outer.names
    inside = [fed.inside.name for fed in (*loop.consts, *loop.xs) if fed.outside.name in outer.varied]
    inside += [carry.inside.name for carry in _varied_carries(loop, outer.varied)]
    body = _Sweep(loop.lines, inside, names, outer.unit)
    inner = Builder(names)

    def incoming(value: Value) -> Value:
        return Value(names.fresh(f"d_{value.name}"), outer.type_of(value))

    # Cotangents that come in: of carries from the step after, of stacks from outside, of sums the same at each step.
    carries = [carry for carry in _useful_carries(loop, outer) if carry.inside.name in body.varied]
    from_carries = [(carry, incoming(carry.next)) for carry in carries]
    from_stacks = [(given, incoming(given.inside)) for given in loop.stacks if outer.has(given.result)]
    from_sums = [(given, incoming(given.inside)) for given in loop.sums if outer.has(given.result)]
    for carry, value in from_carries:
        body.seed(inner, carry.next, value)
    for given, value in (*from_stacks, *from_sums):
        body.seed(inner, given.inside, value)
    body.back(inner)

    # Cotangents that go out: to carries into the step before, to xs as stacks, to consts as sums.
    to_carries = [body.cotangent(inner, carry.inside) for carry in carries]
    xs = [fed for fed in loop.xs if body.has(fed.inside)]
    to_xs = [body.cotangent(inner, fed.inside) for fed in xs]
    consts = [fed for fed in loop.consts if body.has(fed.inside)]
    to_consts = [body.cotangent(inner, fed.inside) for fed in consts]
    outputs = [*to_carries, *to_xs, *to_consts]
    if not outputs:
        return loop, None

    seeds = [value for _, value in (*from_carries, *from_stacks, *from_sums)]
    lines = live_lines(inner.lines, (value.name for value in outputs))
    again = _Again(body.lines, lines, outputs, loop.op.save, seeds, loop, names)
    forward, stacked = _with_stacks(replace(loop, lines=body.lines), again.saved.values(), names)
    to_carries, to_xs, to_consts = (list(again.renamed(group)) for group in (to_carries, to_xs, to_consts))

    def leaving(value: Value, over: bool = False) -> Value:
        axes = (*value.type.axes, loop.op.over) if over else value.type.axes
        return Value(names.fresh(value.name), value.type.with_axes(axes))

    reverse = Loop(
        replace(loop.op, reverse=not loop.op.reverse, save="residuals"),
        again.lines,
        (
            *(Fed(fed.outside, again.inputs[fed.inside.name]) for fed in loop.consts if fed.inside.name in again.read),
            *(Fed(outer.cotangent(build, given.result), value) for given, value in from_sums),
        ),
        tuple(
            Carry(outer.cotangent(build, carry.result), value, flow, leaving(flow), f"carry:{flow.name}")
            for (carry, value), flow in zip(from_carries, to_carries, strict=True)
        ),
        (
            *(Fed(stacked[name], again.inputs[name]) for name in again.saved),
            *(Fed(fed.outside, again.inputs[fed.inside.name]) for fed in loop.xs if fed.inside.name in again.read),
            *(Fed(outer.cotangent(build, given.result), value) for given, value in from_stacks),
        ),
        tuple(Given(flow, leaving(flow, over=True), f"stack:{flow.name}") for flow in to_xs),
        tuple(Given(flow, leaving(flow), f"sum:{flow.name}") for flow in to_consts),
        loop.span,
    )
    operands = [carry.start for carry in carries] + [fed.outside for fed in (*xs, *consts)]
    results = [carry.result for carry in reverse.carries]
    results += [given.result for given in (*reverse.stacks, *reverse.sums)]
    return forward, _Reversed(reverse, tuple(zip(operands, results, strict=True)))


def _with_stacks(loop: Loop, values: Iterable[Value], names: Names) -> tuple[Loop, dict[str, Value]]:
    """The loop that also stacks these values of its body, and the stacks by the values' names."""
    stacked = {given.inside.name: given.result for given in loop.stacks}
    added: list[Given] = []
    for value in values:
        if value.name not in stacked:
            result = Value(names.fresh(f"{value.name}_saved"), value.type.with_axes((*value.type.axes, loop.op.over)))
            stacked[value.name] = result
            added.append(Given(value, result, f"saved:{value.name}"))
    return replace(loop, stacks=(*loop.stacks, *added)), stacked


class _Again:
    """Completes reverse lines: what they read of the forward lines is saved, fed in, or computed again.

    `saved` are the values that the forward lines must keep, by name; `read` the names of the inputs that are read;
    `inputs` what a value is called inside; `lines` the recomputed lines, then the reverse ones. In a loop every name is
    given anew, since the recomputed lines stand beside the forward ones in one function.
    """

    def __init__(
        self,
        forward: Sequence[Line],
        reverse: Sequence[Line],
        outputs: Sequence[Value],
        save: str | tuple[str, ...],
        seeds: Sequence[Value],
        loop: Loop | None = None,
        names: Names | None = None,
        inputs: Iterable[Value] | None = None,
    ):
        self.saved: dict[str, Value] = {}
        self.read: set[str] = set()
        self._made = made_by(forward)
        self._save = save
        self._once = loop is None
        self._carry = {carry.inside.name for carry in loop.carries} if loop else set[str]()
        start = self._carry | {fed.inside.name for fed in loop.xs} if loop else None
        self._varying = None if start is None else dependent_names(forward, start)
        if inputs is not None:
            self._varying = dependent_names(forward, {value.name for value in inputs})
        self._redone: set[str] = set()
        here = {result.name for line in reverse for result in line.results} | {seed.name for seed in seeds}
        for value in (*(operand for line in reverse for operand in line.operands), *outputs):
            if value.name not in here:
                self._need(value)
        redone = [line for line in forward if any(result.name in self._redone for result in line.results)]
        self.inputs: dict[str, Value] = {}
        if names is None:
            self.lines = (*redone, *reverse)
            return
        for value in (*self.saved.values(), *self._fed(loop)):
            self.inputs[value.name] = Value(names.fresh(value.name), value.type)
        seen = dict(self.inputs)
        copies = tuple(copied(line, seen, names) for line in redone)
        self.inputs = seen
        self.lines = (*copies, *(renamed(line, seen) for line in reverse))

    def _fed(self, loop: Loop | None) -> list[Value]:
        fed = (*loop.consts, *loop.xs) if loop else ()
        return [entry.inside for entry in fed if entry.inside.name in self.read]

    def renamed(self, values: Sequence[Value]) -> tuple[Value, ...]:
        return renamed_values(values, self.inputs)

    def _need(self, value: Value) -> None:
        name = value.name
        if name in self.saved or name in self._redone or name in self.read:
            return
        line = self._made.get(name)
        if name in self._carry or (line is not None and self._keeps(value, line)):
            self.saved[name] = value
        elif line is None:
            self.read.add(name)
        else:
            self._redone.update(result.name for result in line.results)
            for operand in line.operands:
                self._need(operand)

    def _keeps(self, value: Value, line: Line) -> bool:
        if self._varying is not None and value.name not in self._varying:
            return False  # the same at each step, or at each call: no reason to keep it
        if isinstance(self._save, tuple):
            return value.name in self._save
        # What is joined in front of all loops is cheap to keep; within a loop it would be kept for each step.
        return self._save == "residuals" and (line.op.saved or (self._once and isinstance(line.op, Concat)))


def varied_names(lines: Iterable[Line], inputs: Iterable[str]) -> set[str]:
    """The floats that depend on the named inputs through floats."""
    varied = set(inputs)
    for line in lines:
        if isinstance(line.op, Scan):
            loop = loop_of(line)
            body = _varied_body(loop, varied)
            given = (*((c.next, c.result) for c in loop.carries), *((g.inside, g.result) for g in loop.stacks))
            results = [result for value, result in given if value.name in body]
            results += [g.result for g in loop.sums if g.inside.name in body]
            results += [c.result for c in loop.carries if c.start.name in varied]
            varied.update(value.name for value in results)
        elif any(operand.name in varied for operand in line.operands):
            varied.update(result.name for result in line.results if result.type.dtype == "float")
    return varied


def _varied_body(loop: Loop, outside: set[str]) -> set[str]:
    inside = {fed.inside.name for fed in (*loop.consts, *loop.xs) if fed.outside.name in outside}
    inside |= {carry.inside.name for carry in loop.carries if carry.start.name in outside}
    while True:
        body = varied_names(loop.lines, inside)
        more = {carry.inside.name for carry in loop.carries if carry.next.name in body} | inside
        if more == inside:
            return body
        inside = more


def _varied_carries(loop: Loop, outside: set[str]) -> list[Carry]:
    body = _varied_body(loop, outside)
    return [carry for carry in loop.carries if carry.inside.name in body]


def dependent_names(lines: Iterable[Line], inputs: Iterable[str]) -> set[str]:
    """Every value that depends on the named ones, integers and truth values too."""
    found = set(inputs)
    for line in lines:
        if any(operand.name in found for operand in line.operands):
            found.update(result.name for result in line.results)
    return found


def useful_names(lines: Iterable[Line], outputs: Iterable[str]) -> set[str]:
    """The values that the named ones depend on."""
    useful = set(outputs)
    for line in reversed(tuple(lines)):
        if not any(result.name in useful for result in line.results):
            continue
        if isinstance(line.op, Scan):
            loop = loop_of(line)
            body = _useful_body(loop, useful)
            useful.update(fed.outside.name for fed in (*loop.consts, *loop.xs) if fed.inside.name in body)
            useful.update(c.start.name for c in loop.carries if c.inside.name in body or c.result.name in useful)
        else:
            useful.update(operand.name for operand in line.operands)
    return useful


def _useful_body(loop: Loop, outside: set[str]) -> set[str]:
    wanted = {given.inside.name for given in (*loop.stacks, *loop.sums) if given.result.name in outside}
    wanted |= {carry.next.name for carry in loop.carries if carry.result.name in outside}
    while True:
        body = useful_names(loop.lines, wanted)
        more = {carry.next.name for carry in loop.carries if carry.inside.name in body} | wanted
        if more == wanted:
            return body
        wanted = more


def _useful_carries(loop: Loop, outer: _Sweep) -> list[Carry]:
    """Carries whose next value reaches a result that has a cotangent."""
    results = (*loop.carries, *loop.stacks, *loop.sums)
    seeded = {given.result.name for given in results if outer.has(given.result)}
    body = _useful_body(loop, seeded)
    return [carry for carry in loop.carries if carry.result.name in seeded or carry.inside.name in body]
