"""Solvers that know more than a tableau: exponential Euler, the matrix exponential, white noise."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from cortexspec.diagnostics import SpecError
from cortexspec.interpreter import run
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Input, Module, Param, State, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.linear import Expm
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.ir.verifier import check
from cortexspec.passes.differentiate import differentiate
from cortexspec.passes.drive import drive
from cortexspec.passes.fold_constants import fold_constants
from cortexspec.passes.hoist import hoist
from cortexspec.passes.share_common import share_common
from cortexspec.passes.solvers.euler import euler
from cortexspec.passes.solvers.euler_maruyama import euler_maruyama
from cortexspec.passes.solvers.exact import exact
from cortexspec.passes.solvers.exponential_euler import exponential_euler
from cortexspec.passes.solvers.heun import heun
from cortexspec.passes.solvers.midpoint import midpoint
from cortexspec.passes.solvers.rk4 import rk4
from cortexspec.units import parse_unit

MS, MV, PA, PF = (parse_unit(text)[0] for text in ("ms", "mV", "pA", "pF"))
CELLS = Axis("cells", Size.of(3))
TRIAL = Axis("trial", Size.symbol("trial"), "sample")
V = Value("v", Type((CELLS, TRIAL), "float", MV))
G = Value("g", Type((CELLS, TRIAL), "float", PA))
TAU = Value("tau", Type((CELLS,), "float", MS))
DRIVE = Value("drive", Type((TRIAL,), "float", PA))


def module(states, inputs, write_slopes, params=()):
    """A module from a function that writes the slope of each state."""
    build = Builder()
    known = (*params, *inputs, *states)
    for value in known:
        build.names.take_value(value)
    slopes = write_slopes(build)
    read = {operand.name for line in build.lines for operand in line.operands} | {v.name for v in slopes.values()}
    derivative = build.function("derivative", [v for v in known if v.name in read], slopes.values(), slopes.keys())
    starts = [Value(f"{state.name}0", state.type) for state in states]
    init = Builder().function("init", starts, starts, [state.name for state in states])
    return Module(
        "test",
        params=tuple(Param(value, value.type, True) for value in params),
        states=tuple(State(state, "p", "n", state.name) for state in states),
        inputs=tuple(Input(value) for value in inputs if value.name not in ("t", "noise")),
        functions={"init": init, "derivative": derivative},
    )


def cascade(build):
    """A current with a synaptic kernel drives a membrane: g' = -g/2 ms + drive/ms, tau v' = -v + g/(0.1 pA/mV)."""
    decay = write.neg(build, write.div(build, G, write.const(build, 2.0, MS)))
    dg = write.add(build, decay, write.div(build, DRIVE, write.const(build, 1.0, MS)))
    pull = write.sub(build, write.div(build, G, write.const(build, 0.1, PA / MV)), V)
    return {"v": write.div(build, pull, TAU), "g": dg}


def run_cascade(solver, steps, dt, optimise=False):
    program = check(drive(solver(module((V, G), (DRIVE,), cascade, (TAU,))), final=("v", "g")))
    function = program.function("rollout")
    if optimise:
        function = hoist(share_common(fold_constants(function)))
    return run(function, cascade_inputs(dt), {"time": steps}, program.layout)


def cascade_inputs(dt):
    rng = np.random.default_rng(3)
    return {
        "v0": rng.normal(size=(3, 2)),
        "g0": rng.normal(size=(3, 2)),
        "tau": np.array([10.0, 2.0, 5.0]),  # the middle one has the synapse's own time constant
        "drive": np.array([0.3, -1.0]),
        "dt": np.array(dt),
    }


def expected_cascade(duration):
    given = cascade_inputs(0)
    v, g = np.empty((3, 2)), np.empty((3, 2))
    for cell in range(3):
        tau = given["tau"][cell]
        for trial in range(2):
            system = np.array([[-1 / tau, 10 / tau, 0], [0, -0.5, given["drive"][trial]], [0, 0, 0]])
            v[cell, trial], g[cell, trial], _ = expm(system * duration) @ [
                given["v0"][cell, trial],
                given["g0"][cell, trial],
                1,
            ]
    return v, g


@pytest.mark.parametrize("optimise", [False, True])
@pytest.mark.parametrize(("steps", "dt"), [(1, 7.0), (14, 0.5)])
def test_exact_is_exact_for_a_linear_cascade(steps, dt, optimise):
    found = run_cascade(exact, steps, dt, optimise)
    v, g = expected_cascade(7.0)
    np.testing.assert_allclose(found["v[time = end]"], v, rtol=1e-12)
    np.testing.assert_allclose(found["g[time = end]"], g, rtol=1e-12)


def test_the_exponential_leaves_the_loop():
    program = drive(exact(module((V, G), (DRIVE,), cascade, (TAU,))), final=("v",))
    function = hoist(share_common(fold_constants(program.function("rollout"))))
    (loop,) = [line.op for line in function.body if isinstance(line.op, Scan)]
    assert any(isinstance(line.op, Expm) for line in function.body)
    assert not any(isinstance(line.op, Expm) for line in loop.body.body)


def test_exact_gradients_of_a_time_constant():
    """Also where two time constants are equal, which a formula with their difference could not do."""
    program = drive(exact(module((V, G), (DRIVE,), cascade, (TAU,))), final=("v",))
    rollout = program.function("rollout")
    build = Builder()
    build.lines = list(rollout.body)
    build.names.take_function(rollout)
    end = rollout.outputs[rollout.output_names.index("v[time = end]")]
    loss = write.sum_(build, write.mul(build, end, end), end.type.axes)
    function = build.function("loss", rollout.inputs, [loss], ["loss"])
    inputs = cascade_inputs(0.5)
    gradient = run(differentiate(function, ["tau", "v0"]), inputs, {"time": 10})
    v, _ = expected_cascade(5.0)
    for cell in range(3):
        ends = []
        for sign in (1, -1):
            tau = inputs["tau"].copy()
            tau[cell] += sign * 1e-5
            ends.append(float(run(function, {**inputs, "tau": tau}, {"time": 10})["loss"]))
        assert gradient["grad:tau"][cell] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-7)
    np.testing.assert_allclose(gradient["grad:v0"], 2 * v * np.exp(-5 / inputs["tau"])[:, None], rtol=1e-11)


def test_exponential_euler_holds_the_couplings():
    """One step of the cascade: each state's decay is exact, g is held for v."""
    found, given = run_cascade(exponential_euler, 1, 2.0), cascade_inputs(2.0)
    tau = given["tau"][:, None]
    decay = np.exp(-2.0 / tau)
    np.testing.assert_allclose(found["v[time = end]"], given["v0"] * decay + 10 * given["g0"] * (1 - decay), rtol=1e-13)
    np.testing.assert_allclose(found["g[time = end]"], expected_cascade(2.0)[1], rtol=1e-12)


@pytest.mark.parametrize(("solver", "order"), [(exponential_euler, 1), (euler, 1), (heun, 2), (midpoint, 2), (rk4, 4)])
def test_order_on_the_cascade(solver, order):
    v, _ = expected_cascade(6.0)
    errors = [np.abs(run_cascade(solver, n, 6.0 / n)["v[time = end]"] - v).max() for n in (48, 96, 192)]
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(rates, order, atol=0.3)


def conductance(build):
    """v' = (g/pA)*(2 mV - v)/ms, g' = -g^2/(4 pA ms): v decays at a rate that is a state; g is not linear in itself."""
    rate = write.div(build, G, write.const(build, 1.0, PA * MS))
    dv = write.mul(build, rate, write.sub(build, write.const(build, 2.0, MV), V))
    dg = write.neg(build, write.div(build, write.mul(build, G, G), write.const(build, 4.0, PA * MS)))
    return {"v": dv, "g": dg}


def run_conductance(solver, steps, dt):
    program = check(drive(solver(module((V, G), (), conductance)), final=("v", "g")))
    start = {"v0": np.full((3, 2), -1.0), "g0": np.full((3, 2), 1.5), "dt": np.array(dt)}
    return run(program.function("rollout"), start, {"time": steps}, program.layout)


@pytest.mark.parametrize("solver", [exponential_euler, exact])
def test_what_is_not_linear_converges_at_first_order(solver):
    whole = solve_ivp(
        lambda t, y: [y[1] * (2 - y[0]), -(y[1] ** 2) / 4], (0, 3), [-1, 1.5], "DOP853", rtol=1e-11, atol=1e-12
    )
    errors = [abs(run_conductance(solver, n, 3.0 / n)["v[time = end]"][0, 0] - whole.y[0, -1]) for n in (40, 80, 160)]
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 1, atol=0.2)


def test_exponential_euler_takes_the_rate_of_the_moment():
    """A conductance 40 times beyond the limit of Euler: the voltage goes to its reversal and not beyond."""
    found = run_conductance(exponential_euler, 1, 80.0)
    np.testing.assert_allclose(found["v[time = end]"], 2 - 3 * np.exp(-120.0), rtol=1e-12)


def constant_slope(build):
    return {"v": write.div(build, write.const(build, 3.0, MV), TAU)}


@pytest.mark.parametrize("solver", [euler, rk4, exponential_euler, exact, euler_maruyama])
def test_a_slope_that_reads_no_state(solver):
    """The state is an input of the step all the same, and a state without equation is held."""
    program = check(drive(solver(module((V, G), (), constant_slope, (TAU,))), final=("v", "g")))
    given = {name: array for name, array in cascade_inputs(0.5).items() if name != "drive"}
    found = run(program.function("rollout"), given, {"time": 4, "trial": 2}, program.layout)
    np.testing.assert_allclose(found["v[time = end]"], given["v0"] + 6 / given["tau"][:, None], rtol=1e-14)
    np.testing.assert_array_equal(found["g[time = end]"], given["g0"])


NOISE = Value("noise", Type((CELLS, TRIAL), "float", MS ** Fraction(-1, 2)))


def diffusion(build):
    """An Ornstein-Uhlenbeck process: tau v' = -v + 3 mV sqrt(2 tau) noise, of standard deviation 3 mV."""
    spread = write.sqrt(build, write.scale(build, TAU, 2.0))
    kick = write.mul(build, write.mul(build, write.const(build, 3.0, MV), spread), NOISE)
    return {"v": write.div(build, write.sub(build, kick, V), TAU)}


def test_white_noise_has_the_right_size_and_is_drawn_by_trial_and_step():
    program = check(drive(euler_maruyama(module((V,), (NOISE,), diffusion, (TAU,))), record=("v",)))
    tau = np.array([1.0, 2.0, 0.5])
    given = {"v0": np.zeros((3, 400)), "tau": tau, "dt": np.array(0.02), "seed": np.array(5)}
    v = run(program.function("rollout"), {**given, "trial": np.arange(400)}, {"time": 400}, program.layout)["v"]
    axes = program.layout.sort(("cells", "trial", "time"))
    v = v.transpose([axes.index(name) for name in ("cells", "trial", "time")])
    late = v[:, :, -1]
    np.testing.assert_allclose(late.std(axis=1), 3.0, rtol=0.1)
    assert np.abs(late.mean(axis=1)).max() < 0.5
    # The covariance after a lag of tau is 9/e.
    lagged = (v[0, :, -1] * v[0, :, -51]).mean()
    assert lagged == pytest.approx(9 / np.e, abs=1.2)
    again = {**given, "v0": np.zeros((3, 2)), "trial": np.array([7, 399])}
    few = run(program.function("rollout"), again, {"time": 400}, program.layout)["v"]
    few = few.transpose([axes.index(name) for name in ("cells", "trial", "time")])
    np.testing.assert_array_equal(few, v[:, [7, 399]])


@pytest.mark.parametrize("solver", [euler, rk4, exponential_euler, exact])
def test_only_euler_maruyama_takes_noise(solver):
    with pytest.raises(SpecError) as caught:
        solver(module((V,), (NOISE,), diffusion, (TAU,)))
    assert caught.value.diagnostics[0].code == "CS721"


def test_updates_read_the_old_states_and_are_committed_with_the_integrated_ones():
    base = module((V, G), (), constant_slope, (TAU,))
    build = Builder()
    for value in (V, G):
        build.names.take_value(value)
    ratio = write.const(build, 1.0, PA / MV)
    update = build.function("update", [V], [write.mul(build, V, ratio)], ["g"])
    program = check(drive(rk4(base.with_functions(update=update)), record=("v", "g")))
    given = {name: array for name, array in cascade_inputs(0.5).items() if name != "drive"}
    found = run(program.function("rollout"), given, {"time": 3, "trial": 2}, program.layout)
    order = program.layout.sort(("cells", "trial", "time"))
    v, g = (found[name].transpose([order.index(a) for a in ("time", "cells", "trial")]) for name in ("v", "g"))
    np.testing.assert_array_equal(g[0], given["v0"])
    np.testing.assert_array_equal(g[1:], v[:-1])
