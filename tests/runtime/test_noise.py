"""White noise from the text to the trials: its size, its draws, the solvers that refuse it."""

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.diagnostics import SpecError

TEXT = '''
"""An Ornstein-Uhlenbeck process of standard deviation σ."""
neuron diffusion {
  param τ = 10 ms, σ = 3 mV
  noise ξ
  state v = 0 mV
  τ*v' = -v + σ*(2*τ)^(1/2)*ξ
  output v
}
circuit pair {
  population a[40], b[3] : diffusion
}
'''


def simulate(**more):
    sim = cs.compile(cs.parse(TEXT), "pair", dtype="float64", solver="euler_maruyama", dt="0.5 ms", seed=3)
    return sim.simulate({}, duration="60 ms", record=["a.v", "b.v"], **more)


def test_the_size_of_the_noise():
    run = simulate(trials=30)
    assert float(run["a.v"].values[:, -1].std()) == pytest.approx(3.0, rel=0.08)


def test_a_trial_is_the_same_alone_and_populations_draw_apart():
    run, alone = simulate(trials=4), simulate(trials=1, first_trial=2)
    np.testing.assert_array_equal(run["a.v"].values[2], alone["a.v"].values[0])
    a, b = run["a.v"].values[:, -1, :3], run["b.v"].values[:, -1]
    assert np.abs(a - b).min() > 0


@pytest.mark.parametrize("solver", ["euler", "rk4", "exact", "exponential_euler", "dopri5"])
def test_other_solvers_refuse_it(solver):
    with pytest.raises(SpecError) as caught:
        sim = cs.compile(cs.parse(TEXT), "pair", dtype="float64", solver=solver, dt="0.5 ms")
        sim.simulate({}, duration="10 ms", record=["a.v"], trials=1)
    assert {d.code for d in caught.value.diagnostics} == {"CS721"}
