"""`step` and `rollout` against closed forms: solvers at their order, recordings, what is read at the end."""

import numpy as np
import pytest

from cortexspec.interpreter.interpreter import run
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Module, State, Value
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.drive import drive
from cortexspec.passes.solvers.euler import euler
from cortexspec.passes.solvers.heun import heun
from cortexspec.passes.solvers.midpoint import midpoint
from cortexspec.passes.solvers.rk4 import rk4
from cortexspec.units import parse_unit

MS, MV = parse_unit("ms")[0], parse_unit("mV")[0]
SAMPLE = Axis("trial", Size.symbol("trial"), "sample")
STATE = Type((SAMPLE,), "float", MV)


def decay_to_sine() -> Module:
    """x' = (5 mV * sin(t/ms) - x)/(2 ms), x(0) = x0 of the trial: linear, driven, so every stage's time matters."""
    x, t, x0 = Value("x", STATE), Value("t", Type((), "float", MS)), Value("x0", STATE)
    build = Builder()
    for value in (x, t):
        build.names.take(value.name)
    phase = write.div(build, t, write.const(build, 1.0, MS))
    drive_ = write.mul(build, write.const(build, 5.0, MV), write.sin(build, phase))
    slope = write.div(build, write.sub(build, drive_, x), write.const(build, 2.0, MS))
    derivative = build.function("derivative", (x, t), (slope,), ("x",))
    out = Builder()
    out.names.take("x")
    twice = write.mul(out, x, write.const(out, 2.0))
    init = Builder().function("init", (x0,), (x0,), ("x",))
    return Module(
        "decay",
        states=(State(x, "p", "decay", "x"),),
        functions={"init": init, "derivative": derivative, "output": out.function("output", (x,), (twice,), ("y",))},
    )


def exact(t: float, x0: np.ndarray) -> np.ndarray:
    """x' = a sin t - x/2 with a = 5/2: x = C e^{-t/2} + a (sin t / 2 - cos t)/(1 + 1/4)."""
    particular = 2.5 * (0.5 * np.sin(t) - np.cos(t)) / 1.25
    return (x0 + 2.5 / 1.25) * np.exp(-t / 2) + particular


def rollout(module: Module, steps: int, dt: float, x0: np.ndarray) -> dict[str, np.ndarray]:
    inputs = {"x0": x0, "dt": np.array(dt)}
    sizes = {"trial": len(x0), "time": steps}
    return run(module.function("rollout"), inputs, sizes, module.layout, np.dtype("float64"))


@pytest.mark.parametrize(("solver", "order"), [(euler, 1), (heun, 2), (midpoint, 2), (rk4, 4)])
def test_each_solver_converges_at_its_order(solver, order):
    module = drive(solver(decay_to_sine()), final=("x",))
    x0 = np.array([1.0, -3.0, 0.5])
    errors = []
    for steps in (20, 40, 80):
        end = rollout(module, steps, 4.0 / steps, x0)["x[time = end]"]
        errors.append(np.abs(end - exact(4.0, x0)).max())
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(np.abs(slopes - order) < 0.25), (errors, slopes)


def test_recordings_hold_the_state_after_each_step_and_outputs_of_it():
    module = drive(euler(decay_to_sine()), record=("x", "y"), final=("x", "y"))
    x0 = np.array([1.0, 2.0])
    run_ = rollout(module, 3, 0.1, x0)
    axes = module.layout.sort(("time", "trial"))
    x = run_["x"] if axes[0] == "time" else run_["x"].T
    y = run_["y"] if axes[0] == "time" else run_["y"].T
    expected = x0
    for n in range(3):
        expected = expected + 0.1 * (2.5 * np.sin(0.1 * n) - expected / 2)
        assert np.allclose(x[n], expected, rtol=0, atol=1e-15)
    assert np.array_equal(y, 2 * x)
    assert np.array_equal(run_["x[time = end]"], x[-1]) and np.array_equal(run_["y[time = end]"], y[-1])


def test_no_step_leaves_the_initial_state():
    module = drive(rk4(decay_to_sine()), final=("x", "y"))
    x0 = np.array([1.0, 2.0])
    run_ = rollout(module, 0, 0.1, x0)
    assert np.array_equal(run_["x[time = end]"], x0) and np.array_equal(run_["y[time = end]"], 2 * x0)


def test_a_name_that_nothing_gives_is_refused():
    with pytest.raises(KeyError, match="z"):
        drive(euler(decay_to_sine()), record=("z",))


def test_where_time_is_a_number_so_is_the_step():
    """x' = -x with nothing in it that has a unit, nor `t` read anywhere."""
    x = Value("x", Type((SAMPLE,)))
    build = Builder()
    build.names.take("x")
    derivative = build.function("derivative", (x,), (write.neg(build, x),), ("x",))
    init = Builder().function("init", (x0 := Value("x0", Type((SAMPLE,))),), (x0,), ("x",))
    module = Module("decay", states=(State(x, "p", "decay", "x"),), functions={"init": init, "derivative": derivative})
    module = drive(euler(module), final=("x",))
    found = rollout(module, 3, 0.5, np.array([8.0]))
    np.testing.assert_array_equal(found["x[time = end]"], [1.0])
