"""Loops that have tripped emitters before, each under every save policy and nesting.

A result that is stacked twice, or carried and stacked, the old value of a carry, two carries that change places, a value
that an inner loop makes, loops in loops, reverse loops, loops of no step, literals that are carried or stacked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Function, Layout, Line, Module, Value
from cortexspec.ir.op import Array
from cortexspec.ir.ops import write
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.checkpoint import checkpoint
from cortexspec.passes.differentiate import differentiate, forward_and_backward
from cortexspec.passes.hoist import hoist
from cortexspec.passes.remove_dead import remove_dead
from cortexspec.passes.share_common import share_common

TIME = Axis("time", Size.symbol("time"), "time")
CELLS, SOURCE = Axis("cells", Size.of(3)), Axis("source", Size.of(3))
SAMPLE = Axis("sample", Size.symbol("sample"), "sample")
STATE = Type((CELLS, SAMPLE))
LAYOUTS = {
    "batch last": Layout(("time", "cells", "source", "sample")),
    "batch first": Layout(("sample", "cells", "source", "time")),
}


@dataclass(frozen=True)
class Inputs:
    """W [cells, source], k [cells], x and y [cells, sample], u [time, cells, sample]; all are differentiated."""

    W: Value
    k: Value
    x: Value
    y: Value
    u: Value

    def all(self) -> tuple[Value, ...]:
        return self.W, self.k, self.x, self.y, self.u


def inputs() -> Inputs:
    return Inputs(
        Value("W", Type((CELLS, SOURCE))),
        Value("net.k", Type((CELLS,))),
        Value("x", STATE),
        Value("x'", STATE),
        Value("u", STATE.with_axes((*STATE.axes, TIME))),
    )


def arrays(layout: Layout, steps: int = 7, samples: int = 2, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    sizes = {"time": steps, "sample": samples}
    found: dict[str, Array] = {}
    for value in inputs().all():
        order = layout.sort(value.type.names)
        shape = [value.type.axis(name).size.evaluate(sizes) for name in sorted(order)]
        array = rng.normal(size=shape)
        found[value.name] = array.transpose([sorted(order).index(name) for name in order])
    return found


Given = tuple[list[Value], list[Value], list[Value]]
Body = Callable[[Builder, list[Value], list[Value], list[Value]], Given]


def loop(
    build: Builder, body: Body, consts: list[Value], carry: list[Value], xs: list[Value], reverse: bool = False
) -> Given:
    """Writes a scan over time; `body` gives (next carry, stacked, summed)."""
    names = build.names
    held = [Value(names.fresh(v.name), v.type) for v in consts]
    state = [Value(names.fresh(v.name), v.type) for v in carry]
    frames = [Value(names.fresh(v.name), v.type.with_axes(v.type.without(["time"]))) for v in xs]
    inner = Builder(names)
    after, stacked, summed = body(inner, held, state, frames)
    function = Function(names.fresh("step"), (*held, *state, *frames), tuple(inner.lines), (*after, *stacked, *summed))
    scan = Scan(function, len(held), len(state), len(frames), len(stacked), len(summed), TIME, reverse)
    parts = scan.divide(build.emit(scan, *consts, *carry, *xs))
    return list(parts[0]), list(parts[1]), list(parts[2])


def _rate(b: Builder, W: Value, x: Value) -> Value:
    return write.contract(b, W, write.rename(b, write.tanh(b, x), {"cells": "source"}), ["source"])


def _finish(build: Builder, values: list[Value], results: Mapping[str, Value]) -> Function:
    """The loss is a sum of sines of all that the loops gave, so that every cotangent differs and none is large."""
    loss = write.const(build, 0.0)
    for i, value in enumerate(values):
        term = write.sin(build, write.scale(build, value, 0.01 * (1 + 0.3 * i)))
        loss = write.add(build, loss, write.sum_(build, term, [axis.name for axis in value.type.axes]))
    return build.function("f", inputs().all(), [*results.values(), loss], [*results.keys(), "loss"])


def _start() -> tuple[Builder, Inputs]:
    build, given = Builder(), inputs()
    for value in given.all():
        build.names.take_value(value)
    return build, given


def plain(reverse: bool = False) -> Function:
    """Carry, stack and sum; the same value carried and stacked; the old carry stacked."""
    b, v = _start()

    def body(b: Builder, consts: list[Value], carry: list[Value], xs: list[Value]) -> Given:
        (W, k), (x,), (u,) = consts, carry, xs
        slope = write.sub(b, write.add(b, _rate(b, W, x), u), write.mul(b, k, x))
        new = write.add(b, x, write.scale(b, slope, 0.1))
        energy = write.sum_(b, write.mul(b, new, slope), ["cells", "sample"])
        return [new], [new, x], [energy, write.contract(b, slope, x, ["sample", "cells"])]

    (end,), (xs, old), (energy, total) = loop(b, body, [v.W, v.k], [v.x], [v.u], reverse)
    return _finish(b, [end, xs, old, energy, total], {"end": end, "xs": xs, "old": old, "energy": energy})


def backwards() -> Function:
    """The same loop from the last step to the first."""
    return plain(reverse=True)


def stacked_twice() -> Function:
    """One value stacked twice and carried; a frame stacked; two carries that change places; a carry that stays."""
    b, v = _start()

    def body(b: Builder, consts: list[Value], carry: list[Value], xs: list[Value]) -> Given:
        (W,), (x, y, k), (u,) = consts, carry, xs
        new = write.mul(b, write.tanh(b, write.add(b, _rate(b, W, y), u)), k)
        return [y, new, k], [new, new, u, x], []

    (x, y, k), (one, two, u, old), _ = loop(b, body, [v.W], [v.x, v.y, v.k], [v.u])
    return _finish(b, [x, y, k, one, two, u, old], {"x": x, "y": y, "one": one, "two": two})


def nested() -> Function:
    """An inner loop over a stack of the outer's consts; its end is carried, its stack and its sum are stacked outside."""
    b, v = _start()
    short = Axis("part", Size.of(2), "time")

    def inner_body(b: Builder, W: Value, k: Value, state: Value, frame: Value) -> Given:
        new = write.add(b, write.scale(b, state, 0.9), write.scale(b, write.mul(b, _rate(b, W, state), k), 0.1))
        new = write.add(b, new, write.scale(b, frame, 0.05))
        return [new], [new], [write.mul(b, new, new)]

    def body(b: Builder, consts: list[Value], carry: list[Value], xs: list[Value]) -> Given:
        (W, k), (x,), (u,) = consts, carry, xs
        frames = write.stack(b, [u, x], short)
        names = b.names
        held = (Value(names.fresh(W.name), W.type), Value(names.fresh(k.name), k.type))
        state, frame = Value(names.fresh("inner"), STATE), Value(names.fresh("frame"), STATE)
        inside = Builder(names)
        after, stacked, summed = inner_body(inside, *held, state, frame)
        function = Function(
            names.fresh("inner_step"), (*held, state, frame), tuple(inside.lines), (*after, *stacked, *summed)
        )
        scan = Scan(function, 2, 1, 1, 1, 1, short)
        end, stack, total = b.emit(scan, W, k, x, frames)
        return [end], [end, write.sum_(b, stack, ["part"]), total], [total]

    (end,), (ends, stacks, totals), (total,) = loop(b, body, [v.W, v.k], [v.x], [v.u])
    return _finish(b, [end, ends, stacks, totals, total], {"end": end, "ends": ends, "stacks": stacks})


def in_a_row() -> Function:
    """A second loop reads the stack and the end of the first, and runs the other way."""
    b, v = _start()

    def first(b: Builder, consts: list[Value], carry: list[Value], xs: list[Value]) -> Given:
        (W,), (x,), (u,) = consts, carry, xs
        new = write.add(b, write.scale(b, x, 0.8), write.scale(b, write.add(b, _rate(b, W, x), u), 0.2))
        return [new], [new], []

    def second(b: Builder, consts: list[Value], carry: list[Value], xs: list[Value]) -> Given:
        (k, start), (y,), (s, u) = consts, carry, xs
        new = write.mul(b, write.sigmoid(b, write.add(b, y, write.mul(b, s, start))), k)
        return [new], [write.sub(b, new, u)], [write.mul(b, y, s)]

    (end,), (xs,), _ = loop(b, first, [v.W], [v.x], [v.u])
    (last,), (ys,), (total,) = loop(b, second, [v.k, end], [v.y], [xs, v.u], reverse=True)
    return _finish(b, [last, xs, ys, total], {"last": last, "xs": xs, "ys": ys, "total": total})


def literals() -> Function:
    """A counter that is carried, numbers that are carried and stacked, a comparison of both, no xs at all."""
    b, v = _start()

    def body(b: Builder, consts: list[Value], carry: list[Value], xs: list[Value]) -> Given:
        (k,), (n, x, c) = consts, carry
        even = write.eq(b, write.mod(b, n, write.integer(b, 2)), write.integer(b, 0))
        new = write.where(b, even, write.mul(b, x, k), write.add(b, x, c))
        one = write.const(b, 1.0)
        return [write.add(b, n, write.integer(b, 1)), new, one], [one, write.cast(b, n, "float"), new], [one]

    zero, c = write.integer(b, 0), write.const(b, 0.25)
    (n, x, c), (ones, counts, xs), (total,) = loop(b, body, [v.k], [zero, v.x, c], [])
    return _finish(b, [x, c, ones, counts, xs, total], {"n": n, "x": x, "ones": ones, "counts": counts, "xs": xs})


PROGRAMS: Mapping[str, Callable[[], Function]] = {
    "plain": plain,
    "backwards": backwards,
    "stacked twice": stacked_twice,
    "nested": nested,
    "in a row": in_a_row,
    "literals": literals,
}


def saving(function: Function, save: str | tuple[str, ...]) -> Function:
    """The function with this save policy for every loop."""

    def line(old: Line) -> Line:
        if not isinstance(old.op, Scan):
            return old
        return replace(old, op=replace(old.op, body=saving(old.op.body, save), save=save))

    return replace(function, body=tuple(line(old) for old in function.body))


def _tidied(function: Function) -> Function:
    return remove_dead(share_common(hoist(function)))


PLANS: Mapping[str, Callable[[Function], Function]] = {
    "residuals": lambda f: saving(f, "residuals"),
    "carry": lambda f: saving(f, "carry"),
    "named": lambda f: saving(f, ("tanh", "contract", "tanh_1")),
    "segments of 3": lambda f: checkpoint(f, 3),
    "segments of 4 and 2": lambda f: checkpoint(f, (4, 2)),
    "segments, carry": lambda f: checkpoint(saving(f, "carry"), 2),
    "tidied": _tidied,
    "segments, tidied": lambda f: _tidied(checkpoint(f, 3)),
}
WRT = tuple(value.name for value in inputs().all())


def module(program: str, plan: str, layout: str) -> Module:
    """Functions: `f`; `f_value_and_grad`; `f_forward` and `f_backward`; all after the plan."""
    function = PLANS[plan](PROGRAMS[program]())
    functions = {"f": function}
    for other in (differentiate(function, WRT), *forward_and_backward(function, WRT)):
        functions[other.name] = _tidied(other) if "tidied" in plan else other
    return Module(f"{program}, {plan}", functions=functions, layout=LAYOUTS[layout])


def matrix() -> list[tuple[str, str, str]]:
    """Every program under every plan; the layouts take turns."""
    turns = tuple(LAYOUTS)
    return [(p, q, turns[(i + j) % 2]) for i, p in enumerate(PROGRAMS) for j, q in enumerate(PLANS)]
