"""Loops over a few binary neurons, with the word of the group in the place of its states."""

import numpy as np
import pytest

from cortexspec.interpreter.interpreter import run
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Function, Layout, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.random import Bernoulli, Word
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.carry_words import binary_states, carry_words

TIME = Axis("time", Size.symbol("time"), "time")
TRIAL = Axis("trial", Size.symbol("trial"), "sample")
N = 4
CELLS, SOURCES = Axis("cells", Size.of(N)), Axis("sources", Size.of(N))
W, B = Value("W", Type((CELLS, SOURCES))), Value("b", Type((CELLS,)))
X = Value("x", Type((CELLS, TRIAL)))
GAIN = Value("gain", Type((TRIAL,)))
SEED, STEP, TRIALS = Value("seed", Type((), "int")), Value("n", Type((), "int")), Value("trial", Type((TRIAL,), "int"))
INPUTS = (W, B, GAIN, SEED, TRIALS, X, STEP)
SIZES = {"time": 40, "trial": 6}
LAYOUT = Layout(("time", "cells", "sources", "trial"))


def drawn(read=None, other=None, gain=False, checked=True) -> Function:
    """x ~ bernoulli(sigmoid(W x + b)) as the language lowers it; `read(build, x, new)` says what is kept of a step."""
    inner = Builder()
    for value in INPUTS:
        inner.names.take_value(value)
    drive = write.contract(inner, W, write.rename(inner, X, {"cells": "sources"}), ["sources"])
    p = write.sigmoid(inner, write.add(inner, drive, B))
    p = write.mul(inner, p, GAIN) if gain else p
    new = write.cast(inner, write.bernoulli(inner, "cells.x#0", [CELLS], p, SEED, TRIALS, STEP), "float")
    if checked:
        above, below = write.ge(inner, p, write.const(inner, 0.0)), write.le(inner, p, write.const(inner, 1.0))
        inside = write.and_(inner, above, below)
        new = write.where(inner, inside, new, write.const(inner, float("nan")) if other is None else other(inner))
        new = write.where(inner, write.eq(inner, X, X), new, X)
    after = write.add(inner, STEP, write.integer(inner, 1))
    kept = (read or (lambda build, x, new: [new]))(inner, X, new)
    body = inner.function("step", INPUTS, (new, after, *kept), ("x", "n", *(f"kept{i}" for i in range(len(kept)))))
    build = Builder()
    for value in INPUTS:
        build.names.take_value(value)
    scan = Scan(body, consts=5, carry=2, xs=0, stack=len(kept), sum=0, over=TIME)
    end, _, *stacks = build.emit(scan, *INPUTS)
    return build.function("f", INPUTS, (end, *stacks), ("x", *(f"kept{i}" for i in range(len(kept)))))


def given(**more):
    draw = np.random.default_rng(3)
    arrays = {
        "W": draw.normal(size=(N, N)), "b": draw.normal(size=N), "gain": np.linspace(0.5, 1, 6), "seed": np.array(5),
        "trial": np.arange(6), "x": draw.integers(0, 2, (N, 6)).astype(float), "n": np.array(0),
    }  # fmt: skip
    return arrays | {name: np.asarray(array) for name, array in more.items()}


def draws(function: Function) -> list[type]:
    (loop,) = (line.op for line in function.body if isinstance(line.op, Scan))
    return [type(line.op) for line in loop.body.body if isinstance(line.op, Bernoulli | Word)]


def same(function: Function, **more) -> Function:
    """The function after the pass, which gives the same numbers."""
    after = carry_words(function, SIZES, {"x"})
    before = run(function, given(**more), SIZES, LAYOUT)
    for name, array in run(after, given(**more), SIZES, LAYOUT).items():
        np.testing.assert_array_equal(array, before[name])
    return after


def words_and_means(build, x, new):
    """Numbers of the states before the draw, after it, and of both."""
    value = write.cast(build, write.iota(build, CELLS), "float")
    old, late = (write.contract(build, value, each, ["cells"]) for each in (x, new))
    return [old, late, write.mul(build, old, late)]


def test_the_word_is_carried_and_the_states_at_the_end_are_spelt_out():
    after = same(drawn())
    (loop,) = (line.op for line in after.body if isinstance(line.op, Scan))
    assert draws(after) == [Word]
    assert [value.type.dtype for value in loop.body.outputs[:2]] == ["int", "int"]


def test_what_a_step_reads_of_states_before_and_after_the_draw_is_read_from_tables():
    after = same(drawn(words_and_means))
    assert draws(after) == [Word]


def test_a_group_of_which_a_probability_is_no_number_has_none_from_there_on():
    broken = given(b=[0.0, np.nan, 0.0, 0.0])
    before, after = (run(one, broken, SIZES, LAYOUT) for one in (drawn(), carry_words(drawn(), SIZES, {"x"})))
    assert np.isnan(before["x"]).all() and np.isnan(after["x"]).all()


def test_draws_without_checks_need_no_word_for_no_number():
    assert draws(same(drawn(checked=False))) == [Word]


def test_a_probability_that_differs_between_trials_stays():
    assert draws(same(drawn(gain=True))) == [Bernoulli]


def test_a_check_that_gives_another_number_stays():
    assert draws(same(drawn(other=lambda build: write.const(build, 2.0)))) == [Bernoulli]


@pytest.mark.parametrize(("sizes", "binary"), [(SIZES, ()), ({"time": 3, "trial": 6}, ("x",))])
def test_states_that_may_be_other_numbers_and_short_loops_stay(sizes, binary):
    function = drawn()
    assert carry_words(function, sizes, binary) is function


def test_states_that_begin_as_draws_or_as_zeros_are_known_as_binary():
    build = Builder()
    for value in (SEED, TRIALS):
        build.names.take_value(value)
    p = write.const(build, 0.5)
    states = {
        "drawn": write.cast(build, write.bernoulli(build, "x", [CELLS], p, SEED, TRIALS), "float"),
        "off": write.full(build, 0.0, Type((CELLS,))),
        "half": write.full(build, 0.5, Type((CELLS,))),
        "normal": write.normal(build, "y", [CELLS], SEED),
    }
    function = build.function("init", (SEED, TRIALS), tuple(states.values()), tuple(states))
    assert binary_states(function) == {"drawn", "off"}
