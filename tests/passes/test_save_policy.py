"""Which loops keep their residuals rather than run a step again: those that would multiply something large once more."""

import pytest

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.save_policy import save_policy

TIME = Axis("time", Size.symbol("time"), "time")
TRIAL = Axis("trial", Size.symbol("trial"), "sample")


def behind(build, W, h):
    """relu(W h): its slope reads the product."""
    return write.relu(build, write.contract(build, W, write.rename(build, h, {"cells": "source"}), ["source"]))


def before(build, W, h):
    """h + W tanh(h)/2: the slope of tanh reads the carry, and what comes after is linear."""
    active = write.rename(build, write.tanh(build, h), {"cells": "source"})
    return write.add(build, h, write.scale(build, write.contract(build, W, active, ["source"]), 0.5))


def fixed(build, W, h):
    """tanh(W 1) h: the product is the same at each step."""
    return write.mul(build, write.tanh(build, write.sum_(build, W, ["source"])), h)


@pytest.mark.parametrize(
    ("step", "cells", "save"),
    [(behind, 64, "residuals"), (behind, 63, "carry"), (before, 500, "carry"), (fixed, 500, "carry")],
)
def test_a_loop_keeps(step, cells, save):
    rows, columns = Axis("cells", Size.symbol("n")), Axis("source", Size.symbol("n"))
    W, start = Value("W", Type((rows, columns))), Value("start", Type((rows, TRIAL)))
    build = Builder(Names(["W", "start"]))
    inner = Builder(build.names)
    w, h = Value("w", W.type), Value("h", start.type)
    for value in (w, h):
        build.names.take_value(value)
    scan = Scan(inner.function("body", [w, h], [step(inner, w, h)]), 1, 1, 0, 0, 0, TIME)
    function = build.function("f", [W, start], build.emit(scan, W, start), ["end"])
    done = save_policy(function, "carry", terms=64, sizes={"n": cells})
    assert next(line.op.save for line in done.body if isinstance(line.op, Scan)) == save
    assert next(line.op.save for line in save_policy(function, "carry").body if isinstance(line.op, Scan)) == "carry"
