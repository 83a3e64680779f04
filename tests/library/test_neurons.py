"""The neurons that come with CortexSpec against closed forms and published values."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

import cortexspec as cs

Array = np.ndarray[Any, Any]
TEXT = """
use neurons
circuit lif_alone { input I : pA = 0 pA; population p : lif; connect I -> p.I }
circuit adaptive { input I : pA = 0 pA; population p : adaptive_exponential; connect I -> p.I }
circuit quadratic { input I : mV/ms = 0 mV/ms; population p : izhikevich; connect I -> p.I }
circuit channels { input I : pA = 0 pA; population p : traub_miles; connect I -> p.I }
circuit masses { input P = 0; population p : wilson_cowan; connect P -> p.P }
circuit column { input p : Hz = 0 Hz; population c : jansen_rit; connect p -> c.p }
circuit rate { input u = 0; population p : rate_unit; connect u -> p.u }
circuit crossing { input I : V = 0 V; population p : threshold_crossing; connect I -> p.I }
circuit drawn { population p[50] : poisson_train(80 Hz) }
circuit conductances { input g : nS = 0 nS; population p : lif_conductance; connect g -> p.g_e }
circuit jumps { input I : pA/ms = 0 pA/ms; population p : lif_exponential; connect I -> p.I }
"""


def run(
    circuit: str, record: str, duration: str, dt: str, solver: str, inputs: Mapping[str, Any] | None = None
) -> Array:
    """[time, neuron]"""
    sim = cs.compile(cs.parse(TEXT), circuit, backend="jax", dtype="float64", dt=dt, duration=duration, solver=solver)
    return sim.simulate(inputs, record=[record])[record].values[0]


def spikes(circuit: str, duration: str, dt: str, solver: str, inputs: Mapping[str, Any]) -> Array:
    """The steps after which the first neuron fired."""
    return np.flatnonzero(run(circuit, "p.spike", duration, dt, solver, inputs)[:, 0])


def test_lif_fires_at_the_interval_of_its_closed_form() -> None:
    found = np.diff(spikes("lif_alone", "0.5 s", "0.01 ms", "exact", {"I": "250 pA"})) * 0.01
    rest, reset, threshold = 25, 10, 20  # mV
    wanted = 2 + 20 * np.log((rest - reset) / (rest - threshold))
    assert np.abs(found - wanted).max() < 0.02
    assert len(spikes("lif_alone", "0.5 s", "0.1 ms", "exact", {"I": "200 pA"})) == 0


def test_adaptive_exponential_fires_above_its_rheobase() -> None:
    """Touboul & Brette 2008, equation for a/g_L > τ_m/τ_w."""
    g, a, v_t, rest, sharp, τ_m, τ_w = 30, 4, -50.4, -70.6, 2, 281 / 30, 144
    rheobase = (g + a) * (v_t - rest - sharp + sharp * np.log(1 + τ_m / τ_w)) + sharp * g * (a / g - τ_m / τ_w)
    for share, fires in ((0.98, False), (1.02, True)):
        late = spikes("adaptive", "1.5 s", "0.02 ms", "rk4", {"I": f"{share * rheobase} pA"}) * 0.02 > 500
        assert late.any() == fires


def test_izhikevich_loses_its_rest_where_the_trace_is_zero() -> None:
    """0.08 v + 5 - a = 0 gives v, and 0.04 v² + (5 - b) v + 140 + I = 0 the current."""
    v = -(5 - 0.02) / 0.08
    current = -(0.04 * v**2 + 4.8 * v + 140)
    for more, fires in ((-0.05, False), (0.05, True)):
        late = spikes("quadratic", "3 s", "0.05 ms", "rk4", {"I": f"{current + more} mV/ms"}) * 0.05 > 1500
        assert late.any() == fires


def test_traub_miles_is_what_an_adaptive_solver_makes_of_the_published_equations() -> None:
    """Brette et al. 2007, appendix B, benchmark 3, with a current in the place of synapses."""

    def slopes(_: float, y: Array) -> list[float]:
        v, m, h, n = y
        u = v + 63
        am, bm = 0.32 * (13 - u) / (np.exp((13 - u) / 4) - 1), 0.28 * (u - 40) / (np.exp((u - 40) / 5) - 1)
        ah, bh = 0.128 * np.exp((17 - u) / 18), 4 / (1 + np.exp((40 - u) / 5))
        an, bn = 0.032 * (15 - u) / (np.exp((15 - u) / 5) - 1), 0.5 * np.exp((10 - u) / 40)
        ionic = 10 * (-60 - v) - 20000 * m**3 * h * (v - 50) - 6000 * n**4 * (v + 90)
        return [(ionic + 500) / 200, am * (1 - m) - bm * m, ah * (1 - h) - bh * h, an * (1 - n) - bn * n]

    times = np.arange(1, 10001) * 0.01
    wanted = solve_ivp(slopes, (0, 100), [-60.0, 0.0, 1.0, 0.0], t_eval=times, rtol=1e-10, atol=1e-10).y[0]
    found = run("channels", "p.v", "100 ms", "0.01 ms", "rk4", {"I": "500 pA"})[:, 0]
    assert np.abs(found - wanted).max() < 0.02 and found.max() > 40
    crossed = np.flatnonzero((wanted[:-1] <= -20) & (wanted[1:] > -20)) + 1
    assert np.array_equal(spikes("channels", "100 ms", "0.01 ms", "rk4", {"I": "500 pA"}), crossed) and len(crossed) > 5


def test_wilson_cowan_has_the_limit_cycle_of_figure_11_and_rests_without_input() -> None:
    moving = run("masses", "p.E", "0.5 s", "0.1 ms", "rk4", {"P": 1.25})[2500:, 0]
    assert 0.08 < moving.min() < 0.15 and 0.25 < moving.max() < 0.35
    assert np.ptp(run("masses", "p.E", "0.5 s", "0.1 ms", "rk4", {"P": 0.0})[2500:]) < 1e-6


def test_a_column_makes_an_alpha_rhythm() -> None:
    """Jansen & Rit 1995: inputs between 120 and 320 pulses a second make about 10 Hz."""
    eeg = run("column", "c.eeg", "4 s", "1 ms", "rk4", {"p": "220 Hz"})[1000:, 0]
    power = np.abs(np.fft.rfft(eeg - eeg.mean())) ** 2
    assert 8 < np.fft.rfftfreq(len(eeg), 0.001)[power.argmax()] < 13


def test_a_rate_unit_relaxes() -> None:
    found = run("rate", "p.r", "60 ms", "1 ms", "exact", {"u": 3.0})[:, 0]
    np.testing.assert_allclose(found, 3 * (1 - np.exp(-np.arange(1, 61) / 20)), rtol=1e-12)


def test_crossing_upwards_is_one_spike() -> None:
    assert len(spikes("crossing", "100 ms", "0.1 ms", "exact", {"I": "2 V"})) == 1


def test_a_poisson_train_has_its_rate_and_the_variance_of_a_count() -> None:
    found = run("drawn", "p.spike", "4 s", "0.1 ms", "euler") * 0.0001  # spikes a step
    counts = found.reshape(40, -1, 50).sum(axis=1)
    assert abs(found.sum() / 200 - 80) < 4 * np.sqrt(80 / 200)
    assert abs(counts.var() / counts.mean() - 1) < 4 * np.sqrt(2 / counts.size)


def test_a_conductance_pulls_to_its_reversal_and_a_jump_has_its_weight() -> None:
    g = 3.0  # nS: rests at (g_L*E_L + g*E_e)/(g_L + g), below threshold where g < 2
    assert len(spikes("conductances", "1 s", "0.1 ms", "exponential_euler", {"g": f"{g} nS"})) > 0
    v = run("conductances", "p.v", "1 s", "0.1 ms", "exponential_euler", {"g": "1.5 nS"})[-1, 0]
    np.testing.assert_allclose(v, (10 * -60 + 1.5 * 0) / 11.5, rtol=1e-9)
    i = run("jumps", "p.i", "20 ms", "0.1 ms", "exact", {"I": "100 pA/ms"})[-1, 0]
    np.testing.assert_allclose(i, 100 * 0.5, rtol=1e-9)
