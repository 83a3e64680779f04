"""Fixed points and spectra against closed forms."""

import numpy as np

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Module, State, Value
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.runtime.dynamics import Flow, fixed_points, spectrum

SAMPLE = Axis("trial", Size.symbol("trial"), "sample")


def damped_pendulum_in_a_double_well() -> Module:
    """x' = y, y' = x - x^3 - y/2: a saddle at 0, two sinks at ±1."""
    x, y = Value("x", Type((SAMPLE,))), Value("y", Type((SAMPLE,)))
    build = Builder()
    build.names.take("x"), build.names.take("y")
    cube = write.pow(build, x, 3)
    slope = write.sub(build, write.sub(build, x, cube), write.mul(build, y, write.const(build, 0.5)))
    derivative = build.function("derivative", (x, y), (y, slope), ("x", "y"))
    states = (State(x, "p", "well", "x"), State(y, "p", "well", "y"))
    return Module("well", states=states, functions={"derivative": derivative})


def test_the_jacobian_and_its_spectrum_are_exact():
    flow = Flow(damped_pendulum_in_a_double_well(), {}, {})
    for x in (0.0, 1.0, -0.3):
        assert np.allclose(flow.jacobian(np.array([x, 0.7])), [[0, 1], [1 - 3 * x**2, -0.5]], rtol=0, atol=1e-14)
    expected = np.sort(np.roots([1, 0.5, -1]))[::-1]
    assert np.allclose(spectrum(flow), expected, rtol=0, atol=1e-13)


def test_all_fixed_points_of_the_double_well_are_found_with_their_stability():
    points = fixed_points(Flow(damped_pendulum_in_a_double_well(), {}, {}))
    found = sorted((round(float(p.state["x"].item()), 9), p.stable) for p in points)
    assert found == [(-1.0, True), (0.0, False), (1.0, True)]
