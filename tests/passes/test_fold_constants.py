"""What is folded before a run, and what is not: a number that would hide that a run went out of bounds."""

import numpy as np
import pytest

from cortexspec.interpreter import run
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Layout, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.arith import Add, Mul, Tanh
from cortexspec.ir.ops.constant import Identity
from cortexspec.ir.ops.reduce import Mean, Sum
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Concat, Slice
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.fold_constants import fold_constants
from cortexspec.passes.remove_dead import remove_dead

CELLS, OTHERS, ONE = Axis("cells", Size.of(3)), Axis("others", Size.of(3)), Axis("one", Size.of(1))
X = Value("x", Type((CELLS,), "float"))
MATRIX = Value("m", Type((CELLS, OTHERS), "float"))


def folded(inputs, make):
    """The function and what is left of it."""
    build = Builder()
    for value in inputs:
        build.names.take(value.name)
        build.names.take_axes(value.type.axes)
    result = make(build)
    function = build.function("f", inputs, [result], ["y"])
    return function, remove_dead(fold_constants(function))


def kinds(function):
    return [type(line.op) for line in function.body]


def both(inputs, make, arrays):
    before, after = folded(inputs, make)
    wanted, found = (run(function, arrays, {}, Layout())["y"] for function in (before, after))
    np.testing.assert_allclose(found, wanted, rtol=1e-14)
    return after


def test_numbers_meet_in_front_of_a_product():
    def make(build):
        doubled = write.mul(build, write.scale(build, X, 2.0), write.tanh(build, X))
        return write.scale(build, doubled, 0.5)

    after = both([X], make, {"x": np.array([0.1, -2.0, 3.0])})
    assert kinds(after).count(Mul) == 1


def test_the_sum_over_an_identity_matrix_reads_its_diagonal():
    def make(build):
        product = write.mul(build, MATRIX, write.identity(build, CELLS, OTHERS))
        return write.sum_(build, product, ["others"])

    after = both([MATRIX], make, {"m": np.arange(9.0).reshape(3, 3)})
    assert Identity not in kinds(after) and Sum not in kinds(after)


def test_coordinates_of_one_place_are_numbers():
    def make(build):
        other = Axis("same", Size.of(1))
        here, there = write.iota(build, ONE), write.iota(build, other)
        weights = Value("w", Type((ONE, other), "float"))
        return write.where(build, write.eq(build, here, there), write.const(build, 0.0), weights)

    after = both([Value("w", Type((ONE, Axis("same", Size.of(1))), "float"))], make, {"w": np.array([[7.0]])})
    assert not {"cmp.eq", "arith.where", "shape.iota"} & {line.op.name for line in after.body}


@pytest.mark.parametrize(("squash", "left"), [(write.tanh, False), (write.sigmoid, False), (write.exp, True)])
def test_nothing_times_what_may_be_infinite_stays(squash, left):
    """0 times infinity is no number, and tells that a run overflowed."""
    _, after = folded([X], lambda build: write.scale(build, squash(build, X), 0.0))
    assert (Mul in kinds(after)) == left


STEPS = {
    "a step adds to it": (lambda build, x, more: write.add(build, x, more), False),
    "a step takes from it": (lambda build, x, more: write.sub(build, x, more), False),
    "a step takes it from another": (lambda build, x, more: write.sub(build, more, x), False),
    "it is squashed": (lambda build, x, more: write.add(build, write.tanh(build, x), more), True),
    "it starts anew": (lambda build, x, more: more, True),
    # Else two zeros would vouch for each other.
    "it is read as nothing only": (lambda build, x, more: write.add(build, write.scale(build, x, 0.0), more), True),
}


@pytest.mark.parametrize("step", STEPS)
def test_nothing_times_a_state_goes_where_the_state_itself_stays_out_of_bounds(step):
    """x' = step(x, 0*mean(x) + r): once x is infinite it says so itself, if a step adds to it."""
    following, stays = STEPS[step]
    time, rate = Axis("time", Size.of(4), "time"), Value("r", X.type)

    def make(build):
        inner, carried = Builder(build.names), Value(build.names.fresh("state"), X.type)
        given = Value(build.names.fresh("rate"), X.type)
        mean = write.mean(inner, carried, ["cells"])
        more = write.add(inner, write.scale(inner, mean, 0.0), given)
        body = inner.function("step", [given, carried], [following(inner, carried, more)], ["next"])
        return build.one(Scan(body, 1, 1, 0, 0, 0, time), rate, X)

    after = both([X, rate], make, {"x": np.array([1.0, 2.0, 4.0]), "r": np.array([0.5, -1.0, 0.0])})
    (scan,) = (line.op for line in after.body if isinstance(line.op, Scan))
    assert (Mean in kinds(scan.body)) == stays


HALVES = (Axis("first", Size.of(2)), Axis("second", Size.of(1)))


def in_halves(build, x):
    return [
        write.slice_(build, x, "cells", start, stop, half)
        for start, stop, half in ((0, 2, HALVES[0]), (2, 3, HALVES[1]))
    ]


def test_what_is_computed_alike_of_parts_is_computed_of_the_whole():
    y = Value("y", X.type)

    def make(build, last=write.tanh):
        sums = [write.add(build, a, b) for a, b in zip(in_halves(build, X), in_halves(build, y), strict=True)]
        parts = [write.tanh(build, write.scale(build, sums[0], 2.0)), last(build, write.scale(build, sums[1], 2.0))]
        return write.concat(build, parts, ["first", "second"], Axis("whole", Size.of(3)))

    arrays = {"x": np.array([0.1, -2.0, 3.0]), "y": np.array([1.0, 0.25, -1.0])}
    alike = kinds(both([X, y], make, arrays))
    assert Concat not in alike and Slice not in alike and alike.count(Add) == alike.count(Tanh) == 1
    other = kinds(both([X, y], lambda build: make(build, write.sigmoid), arrays))
    assert Concat in other and other.count(Add) == 2


def test_parts_in_another_order_or_read_elsewhere_stay_parts():
    def turned(build):
        first, second = (write.tanh(build, part) for part in in_halves(build, X))
        return write.concat(build, [second, first], ["second", "first"], Axis("whole", Size.of(3)))

    assert Concat in kinds(both([X], turned, {"x": np.array([0.1, -2.0, 3.0])}))

    def read_twice(build):
        first, second = (write.tanh(build, part) for part in in_halves(build, X))
        whole = write.concat(build, [first, second], ["first", "second"], Axis("whole", Size.of(3)))
        return write.mul(build, whole, write.sum_(build, first, ["first"]))

    assert Concat in kinds(both([X], read_twice, {"x": np.array([0.1, -2.0, 3.0])}))


def test_a_choice_between_one_thing_is_no_choice():
    def make(build):
        return write.where(build, write.gt(build, X, write.zero_like(build, X)), X, X)

    assert kinds(both([X], make, {"x": np.array([0.1, -2.0, 3.0])})) == []
