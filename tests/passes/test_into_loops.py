"""What is computed from everything that a loop kept, and may be computed step by step."""

import numpy as np

from cortexspec.interpreter.interpreter import run
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Function, Layout, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.into_loops import into_loops

TIME, CELLS = Axis("time", Size.symbol("time"), "time"), Axis("cells", Size.of(5))
X = Value("x", Type((CELLS,)))
SIZES = {"time": 7}


def kept_and_read(read) -> Function:
    """x <- tanh(1.5 x) kept for all steps, and what `read(build, stack)` makes of it, by name."""
    inner = Builder()
    inner.names.take("x")
    after = write.tanh(inner, write.scale(inner, X, 1.5))
    body = inner.function("step", (X,), (after, after), ("x", "x"))
    build = Builder()
    build.names.take("x")
    scan = Scan(body, consts=0, carry=1, xs=0, stack=1, sum=0, over=TIME)
    _, stack = build.emit(scan, X)
    outputs = read(build, stack)
    return build.function("f", (X,), tuple(outputs.values()), tuple(outputs))


def weighted(build, stack):
    weight = write.cast(build, write.iota(build, CELLS), "float")
    return {"y": write.contract(build, weight, write.exp(build, stack), ["cells"])}


def loop_of(function: Function) -> Scan:
    return next(line.op for line in function.body if isinstance(line.op, Scan))


def same(function: Function) -> Function:
    """The function after the pass, which means what it meant."""
    after = into_loops(function, SIZES)
    x = {"x": np.linspace(-1, 1, 5)}
    layout = Layout(("time", "cells"))
    before = run(function, x, SIZES, layout)
    for name, array in run(after, x, SIZES, layout).items():
        np.testing.assert_allclose(array, before[name], rtol=1e-14)
    return after


def test_what_is_one_number_a_step_is_kept_in_the_place_of_the_states():
    after = same(kept_and_read(weighted))
    loop = loop_of(after)
    assert [value.type.names for value in loop.body.outputs] == [frozenset({"cells"}), frozenset()]
    assert isinstance(after.body[-1].op, Scan)  # nothing is left behind it


def test_what_reads_several_steps_stays_behind():
    function = kept_and_read(lambda build, stack: {"y": write.sum_(build, write.exp(build, stack), ["time"])})
    assert same(function) == function


def test_what_keeps_more_stays_behind():
    def both(build, stack):
        return {"x": stack, **weighted(build, stack)}

    function = kept_and_read(both)
    assert same(function) == function


def test_two_readers_go_in_together():
    def two(build, stack):
        return {**weighted(build, stack), "z": write.sum_(build, stack, ["cells"])}

    assert loop_of(same(kept_and_read(two))).stack == 2
