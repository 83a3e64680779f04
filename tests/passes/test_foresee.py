"""Draws in front of a loop are the draws inside it."""

import numpy as np
import pytest

from cortexspec.interpreter import run
from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Layout, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.random import Normal
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.foresee import foresee
from cortexspec.passes.loop import loop_of

TIME = Axis("time", Size.symbol("time"), "time")
CELLS = Axis("cells", Size.symbol("cells"))
SAMPLE = Axis("sample", Size.symbol("sample"), "sample")
LAYOUT = Layout(("time", "cells", "sample"))
SIZES = {"time": 5, "cells": 3, "sample": 4}
GIVEN = {"v": np.zeros((3, 4)), "n": np.array(7), "seed": np.array(11), "trial": np.arange(4) + 20}


def noisy(stride: int = 1) -> Function:
    """v <- v/2 + a draw of step n, where n grows by `stride` from wherever it starts."""
    names = [Value("v", Type((CELLS, SAMPLE))), Value("n", Type((), "int")), Value("seed", Type((), "int"))]
    v, n, seed = names
    trial = Value("trial", Type((SAMPLE,), "int"))
    build = Builder(Names(["v", "n", "seed", "trial"]))
    inner = Builder(build.names)
    inside = [Value(f"{one.name}_in", one.type) for one in (seed, trial, v, n)]
    for one in inside:
        build.names.take_value(one)
    drawn = inner.one(Normal("noise", (CELLS,), per_trial=True, per_step=True), inside[0], inside[1], inside[3])
    after = write.add(inner, write.scale(inner, inside[2], 0.5), drawn)
    following = write.add(inner, inside[3], write.integer(inner, stride))
    body = inner.function("body", inside, [after, following, after])
    end, last, seen = build.emit(Scan(body, 2, 2, 0, 1, 0, TIME), seed, trial, v, n)
    return build.function("f", [v, n, seed, trial], [end, last, seen])


def scan_of(function: Function):
    return loop_of(next(line for line in function.body if isinstance(line.op, Scan)))


def test_the_frames_are_those_of_each_step_wherever_it_counts_from() -> None:
    plain, ahead = noisy(), foresee(noisy(), SIZES)
    assert not any(isinstance(line.op, Normal) for line in scan_of(ahead).lines)
    assert len(scan_of(ahead).xs) == 1
    for name, array in run(plain, GIVEN, SIZES, LAYOUT).items():
        np.testing.assert_array_equal(run(ahead, GIVEN, SIZES, LAYOUT)[name], array)


@pytest.mark.parametrize(("stride", "limit", "sizes"), [(2, 100, SIZES), (1, 14, SIZES), (1, 100, {"time": 5})])
def test_what_stays_inside(stride: int, limit: int, sizes: dict[str, int]) -> None:
    """A step that is not counted by one, more numbers than are wanted in memory, and a size that nobody knows."""
    function = noisy(stride)
    assert foresee(function, sizes, limit) == function


def test_where_it_is_just_few_enough() -> None:
    assert len(scan_of(foresee(noisy(), SIZES, limit=15)).xs) == 1
