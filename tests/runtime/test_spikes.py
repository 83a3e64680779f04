"""What spikes do in a step, against closed forms: arrival, integration, detection, reset, refractory period, emission."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import expm
from scipy.special import erfcx

import cortexspec as cs
from cortexspec.diagnostics import SpecError
from cortexspec.ir.op import Array
from cortexspec.runtime.spike_trains import spike_trains

# Fires once, at t = 1 ms.
ONCE = """
neuron once {
  state fired = 0
  spike when t > 0.95 ms and fired < 0.5 { fired <- 1 }
}
"""
MEMBRANE = "neuron membrane { param τ_m = 10 ms; input I : V; state v = 0 V; τ_m*v' = I - v }\n"
# Each synapse with its states and their linear system x' = A x (1/ms) from x(0), v last; the weight is 2 V ms.
SYNAPSES: dict[str, tuple[str, Array, Array]] = {
    "exponential": (
        "state g : V = 0 per post; 5 ms*g' = z - g; output g",
        np.array([[-1 / 5, 0], [1 / 10, -1 / 10]]),
        np.array([2 / 5, 0]),
    ),
    "alpha": (
        "state g : V = 0 per post; (5 ms)^2*g'' + 2*5 ms*g' + g = z; output g",
        np.array([[0, 1, 0], [-1 / 25, -2 / 5, 0], [1 / 10, 0, -1 / 10]]),
        np.array([0, 2 / 25, 0]),
    ),
    "biexponential": (
        "state x : V = 0, g : V = 0 per post; 1 ms*x' = z - x; 5 ms*g' = x - g; output g",
        np.array([[-1, 0, 0], [1 / 5, -1 / 5, 0], [0, 1 / 10, -1 / 10]]),
        np.array([2.0, 0, 0]),
    ),
    "mixture": (
        "state f : V = 0, g : V = 0 per post; 3 ms*f' = 0.8*z - f; 80 ms*g' = 0.2*z - g; output f + g",
        np.array([[-1 / 3, 0, 0], [0, -1 / 80, 0], [1 / 10, 1 / 10, -1 / 10]]),
        np.array([0.8 * 2 / 3, 0.2 * 2 / 80, 0]),
    ),
}
SPIKE_AT = 1.0


def _run(text: str, record: Sequence[str], **options: Any) -> dict[str, Array]:
    settings: dict[str, Any] = {"dtype": "float64", "solver": "exact", "dt": "0.1 ms", "duration": "12 ms", **options}
    found = cs.compile(cs.parse(text), "c", **settings).simulate(record=record)
    return {name: np.asarray(array)[0].squeeze() for name, array in found.items()}


def _times(steps: int, dt: float) -> Array:
    """Of the rows of a recording: each is the state after its step."""
    return (np.arange(steps) + 1) * dt


def _one_synapse(statements: str, connect: str = "") -> str:
    synapse = f"synapse kernel {{ input z; {statements} }}\n"
    settings = f"weight = 2 V/kHz; synapse = kernel(); {connect}"
    circuit = f"circuit c {{ population a : once; population b : membrane; connect k: a -> b {{ {settings} }} }}"
    return ONCE + MEMBRANE + synapse + circuit


def _response(name: str, times: Array, since: float = SPIKE_AT) -> Array:
    """v at these times by the exponential of the whole system."""
    _, system, start = SYNAPSES[name]
    return np.array([(expm(system * (t - since)) @ start)[-1] if t >= since - 1e-9 else 0.0 for t in times])


@pytest.mark.parametrize("name", SYNAPSES)
def test_a_spike_makes_the_response_of_its_kernel_exactly(name: str):
    v = _run(_one_synapse(SYNAPSES[name][0]), ["b.v"])["b.v"]
    wanted = _response(name, _times(len(v), 0.1))
    assert wanted.max() > 0.05
    np.testing.assert_allclose(v, wanted, rtol=0, atol=1e-12 * wanted.max())


def test_closed_forms_of_the_kernels_written_out():
    s = np.linspace(0, 20, 41)
    exponential = 2 / (5 - 10) * (np.exp(-s / 5) - np.exp(-s / 10))
    np.testing.assert_allclose(_response("exponential", s, 0), exponential, atol=1e-14)
    a = 1 / 5 - 1 / 10
    alpha = 2 / (25 * 10) * np.exp(-s / 10) * (1 - (1 + a * s) * np.exp(-a * s)) / a**2
    np.testing.assert_allclose(_response("alpha", s, 0), alpha, atol=1e-14)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2), ("rk4", 4), ("exponential_euler", 1)])
def test_the_others_converge_at_their_order(solver: str, order: int):
    errors: list[float] = []
    for dt in (0.5, 0.25):
        v = _run(_one_synapse(SYNAPSES["alpha"][0]), ["b.v"], solver=solver, dt=f"{dt} ms")["b.v"]
        errors.append(float(np.abs(v - _response("alpha", _times(len(v), dt))).max()))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


def test_a_spike_without_a_synapse_is_a_jump_of_its_weight():
    neuron = "neuron leaky { param τ = 10 ms; input z : V/ms; state v = 0 V; v' = z - v/τ }\n"
    text = ONCE + neuron + "circuit c { population a : once; population b : leaky; connect a -> b { weight = 3 V } }"
    v = _run(text, ["b.v"])["b.v"]
    t = _times(len(v), 0.1)
    np.testing.assert_allclose(v, np.where(t > 1.05, 3 * np.exp(-(t - 1) / 10), 0), atol=1e-14)


def test_what_multiplies_an_impulse_is_read_before_the_jump():
    neuron = "neuron fed { input z : Hz; state v = 1 V; let gain = 2*v + 1 V; v' = gain*z }\n"
    text = ONCE + neuron + "circuit c { population a : once; population b : fed; connect a -> b { weight = 1.5 } }"
    v = _run(text, ["b.v", "a.spike", "a_to_b.arriving"])
    np.testing.assert_allclose(v["b.v"][[8, 9, 10, 11]], [1, 1, 1 + 1.5 * 3, 5.5], rtol=1e-14)
    # A recording reads a train as count/dt (Hz) in the step that finds it, and what arrives (kHz) in the step after.
    np.testing.assert_allclose(v["a.spike"][[8, 9, 10]], [0, 1e4, 0])
    np.testing.assert_allclose(v["a_to_b.arriving"][[9, 10, 11]], [0, 15, 0])


@pytest.mark.parametrize(
    ("connect", "late"), [("delay = 1.5 ms", 1.5), ("delay = 0.14 ms", 0.1), ("delay = 0 ms", 0.0)]
)
def test_a_delay_moves_the_response_by_whole_steps(connect: str, late: float):
    v = _run(_one_synapse(SYNAPSES["alpha"][0], connect), ["b.v"])["b.v"]
    wanted = _response("alpha", _times(len(v), 0.1), SPIKE_AT + late)
    np.testing.assert_allclose(v, wanted, rtol=0, atol=1e-12 * wanted.max())


def test_each_connection_has_its_own_delay():
    neuron = "neuron sum { input z : V/ms; state v = 0 V; v' = z }\n"
    circuit = """circuit c {
      population a[3] : once
      population b[2] : sum
      attribute a.lag : ms = 0.5 ms*index
      connect a -> b { weight = 1 V; delay = pre.lag + 1 ms }
    }"""
    v = _run(ONCE + neuron + circuit, ["b.v"])["b.v"]
    arrivals = np.searchsorted(_times(len(v), 0.1), np.array([2.0, 2.5, 3.0]) + 0.05)
    for place, arrival in enumerate(arrivals):
        np.testing.assert_allclose(v[[arrival - 1, arrival]], [[place] * 2, [place + 1] * 2], atol=1e-12)


def test_a_continuous_value_is_read_as_it_was_and_before_0_as_it_started():
    text = """
    neuron ramp { state x = 2 V; x' = 1 V/ms; output x }
    neuron reader { input y : V; state s = 0 V; s <- y }
    circuit c { population a : ramp; population b : reader; connect a -> b { delay = 0.5 ms } }
    """
    s = _run(text, ["b.s"], duration="2 ms")["b.s"]
    before = np.arange(20) * 0.1 - 0.5  # the time at which each step reads
    np.testing.assert_allclose(s, 2 + np.maximum(before, 0), rtol=1e-12)


def _lif(refractory: str = "2 ms", condition: str = "v > θ", current: float = 1.5) -> str:
    return f"""
    neuron lif {{
      param τ = 10 ms, θ = 1 V, I = {current} V
      state v = 0 V
      τ*v' = I - v
      spike when {condition} {{ v <- 0 V }} refractory {refractory}
    }}
    circuit c {{ population a : lif }}
    """


@pytest.mark.parametrize("steps", [0, 1, 20])
def test_a_refractory_neuron_is_held_for_whole_steps(steps: int):
    found = _run(_lif(f"{steps / 10} ms" if steps else "0 ms"), ["a.spike", "a.v"], duration="60 ms")
    fired = np.flatnonzero(found["a.spike"])
    rise = 10 * np.log(1.5 / 0.5) / 0.1  # steps from the reset to the threshold
    assert set(np.diff(fired)) == {steps + int(np.floor(rise)) + 1}
    v = found["a.v"]
    np.testing.assert_array_equal(v[fired[0] : fired[0] + steps + 1], 0)
    assert v[fired[0] + steps + 1] == pytest.approx(1.5 * (1 - np.exp(-0.01)), rel=1e-12)


def test_thresholds_are_strict_and_a_crossing_is_once():
    def spikes(condition: str) -> list[int]:
        text = f"neuron up {{ state v = 0 V; v' = 1 V/ms; spike when {condition} }}\ncircuit c {{ population a : up }}"
        return np.flatnonzero(_run(text, ["a.spike"], solver="euler", dt="1 ms", duration="6 ms")["a.spike"]).tolist()

    assert spikes("v > 3 V { }") == [3, 4, 5]  # v is 3 V after the third step: not above
    assert spikes("v crosses 3 V") == [3]
    assert spikes("v >= 3 V { }") == [2, 3, 4, 5]


@pytest.mark.parametrize("drive", [0.8, 1.2])
def test_gradients_pass_the_reset(drive: float):
    text = f"""
    neuron one {{
      param J : V/ms = {drive} V/ms trainable
      state v = 0 V
      v' = J
      spike when v > 1 V {{ v <- 0.1*v }} surrogate fast_sigmoid(2 V^-1)
    }}
    circuit c {{ population a : one; output v = a.v }}
    """
    for gradient in ("native", "ir"):
        simulation = cs.compile(cs.parse(text), "c", dtype="float64", dt="1 ms", gradient=gradient)
        _, found = simulation.value_and_grad("mean(v[time = end])/(1 mV)", duration="1 ms")
        z, slope = float(drive > 1), 2 / (1 + 2 * abs(drive - 1)) ** 2
        wanted = (1 - z) + z * 0.1 + slope * (0.1 - 1) * drive
        assert float(found["a.J"]) == pytest.approx(wanted, rel=1e-12)


def test_a_gradient_across_a_spike_without_surrogate_is_refused():
    neuron = "neuron one { param J = 1 V/ms trainable; state v = 0 V; v' = J; spike when v > 1 V { v <- 0 V } }\n"
    simulation = cs.compile(cs.parse(neuron + "circuit c { population a : one }"), "c", dt="1 ms")
    with pytest.raises(SpecError, match="CS320"):
        simulation.value_and_grad("mean(a.spike)/(1 kHz)", duration="3 ms")


@pytest.mark.parametrize("connect", ["delay = -1 ms", "delay ~ uniform(0 ms, 0.04 ms)", "delay = late"])
def test_a_delay_that_rounds_to_no_step_is_refused(connect: str):
    neuron = "neuron sum { input z : V/ms; state v = 0 V; v' = z }\n"
    circuit = "circuit c { param late = 0.02 ms; population a[3] : once; population b[2] : sum; "
    text = ONCE + neuron + circuit + f"connect a -> b {{ rule = fixed_indegree(2); weight = 1 V; {connect} }} }}"
    with pytest.raises(SpecError, match="CS916"):
        _run(text, ["b.v"])


def test_a_neuron_reads_its_own_train_also_while_it_is_refractory():
    neuron = """neuron adapting {
      state v = 0 V, held = 0, own = 0
      10 ms*v' = 2 V - v
      held' = -held/20 ms
      own' = -own/20 ms + spike
      spike when v > 1 V { v <- 0 V; held <- held + 1 }  refractory 5 ms
    }
    """
    run = _run(neuron + "circuit c { population a : adapting }", ["a.spike", "a.own", "a.held"], duration="60 ms")
    times = _times(600, 0.1)
    fired = times[run["a.spike"] > 0]
    assert np.allclose(np.diff(fired), 12.0)  # 10 ms*ln 2 in steps, and 5 ms
    since = times[:, None] - fired
    jumps = np.where(since > 1e-9, np.exp(-np.maximum(since, 0) / 20), 0).sum(axis=1)
    np.testing.assert_allclose(run["a.own"], jumps, rtol=1e-12)
    row = int(np.searchsorted(times, fired[0] + 0.05))
    assert np.all(run["a.held"][row : row + 49] == 1)  # the block assigned it, so it is held for 5 ms


@pytest.mark.parametrize("delay", ["delay = 3e9 ms", "delay = pre.lag"])
def test_a_delay_of_more_steps_than_are_counted_is_refused(delay: str):
    neuron = "neuron sum { input z : V/ms; state v = 0 V; v' = z }\n"
    circuit = "circuit c { population a[3] : once; population b[2] : sum; attribute a.lag = 2e9 ms*index + 1 ms; "
    text = ONCE + neuron + circuit + f"connect a -> b {{ rule = fixed_indegree(3); weight = 1 V; {delay} }} }}"
    with pytest.raises(SpecError, match=r"CS916.* delay of `a_to_b` is [34]e\+09 ms.* more steps of 1 ms"):
        cs.compile(cs.parse(text), "c", dt="1 ms", seed=1)


def test_a_train_in_a_nonlinear_term_is_refused_also_through_a_let():
    neuron = "neuron odd { input z : Hz; state v = 0; let twice = 2*z; 1 ms*v' = 1 ms^2*twice^2 - v }\n"
    text = ONCE + neuron + "circuit c { population a : once; population b : odd; connect a -> b }"
    with pytest.raises(SpecError, match="CS510"):
        _run(text, ["b.v"])


def _siegert(μ: float, σ: float, θ: float, τ: float, refractory: float) -> float:
    """Rate in Hz of a leaky neuron with reset at 0 under white noise, σ the standard deviation of v without threshold.

    Source: Siegert 1951, doi:10.1103/PhysRev.81.617; Ricciardi 1977.
    """
    low, high = -μ / (np.sqrt(2) * σ), (θ - μ) / (np.sqrt(2) * σ)
    return 1e3 / (refractory + τ * np.sqrt(np.pi) * quad(lambda x: erfcx(-x), low, high)[0])


def test_the_rate_under_white_noise_is_that_of_siegert():
    """A grid misses excursions above the threshold between its points, as if this were 0.5826 standard deviations of a step higher.

    Source: Broadie, Glasserman and Kou 1997, doi:10.1111/1467-9965.00035.
    """
    text = """
    neuron lif {
      param τ = 10 ms, θ = 1 V, μ = 0.8 V, σ = 0.5 V
      noise ξ
      state v ~ normal(0.3 V, 0.4 V)
      τ*v' = μ - v + σ*(2*τ)^(1/2)*ξ
      spike when v > θ { v <- 0 V } refractory 2 ms
    }
    circuit c { population a[2000] : lif }
    """
    spikes = _run(text, ["a.spike"], solver="euler_maruyama", duration="400 ms")["a.spike"]
    higher = 1 + 0.5826 * 0.5 * np.sqrt(2 * 0.1 / 10)
    assert spikes[1000:].mean() == pytest.approx(_siegert(0.8, 0.5, higher, 10, 2), rel=0.01)


def _rates_under_white_noise(drives: Sequence[float], σ: float, dt: float, duration: float) -> tuple[Array, Array]:
    """Rate in Hz at each drive in V, of 1250 neurons, and its standard error; dt and duration in ms."""
    text = f"""
    neuron lif {{
      param τ = 10 ms, θ = 1 V, σ = {σ} V
      param μ = 1 V  per neuron
      noise ξ
      state v ~ normal(0.3 V, 0.3 V)
      τ*v' = μ - v + σ*(2*τ)^(1/2)*ξ
      spike when v > θ {{ v <- 0 V }} refractory 2 ms
    }}
    circuit c {{ population a[{1250 * len(drives)}] : lif }}
    """
    settings: dict[str, Any] = {"solver": "euler_maruyama", "dt": f"{dt} ms", "backend": "jax", "dtype": "float32"}
    simulation = cs.compile(cs.parse(text), "c", **settings)
    simulation.set_parameters({"a.μ": 1000 * np.repeat(drives, 1250)})
    trains = spike_trains(simulation, duration, warm_up="100 ms")["a"]
    rates = 1000 * trains.rates.reshape(len(drives), 1250)
    return rates.mean(axis=1), rates.std(axis=1) / np.sqrt(1250)


def test_the_rate_curve_comes_to_that_of_siegert_as_the_step_falls():
    """No threshold is raised: what a grid misses goes with √dt, so two steps, one a quarter of the other, tell the limit."""
    pytest.importorskip("jax")
    drives = [0.8, 1.0, 1.2, 1.5]
    coarse, its_error = _rates_under_white_noise(drives, 0.5, 0.1, 2000)
    fine, error = _rates_under_white_noise(drives, 0.5, 0.025, 3000)
    wanted = np.array([_siegert(μ, 0.5, 1, 10, 2) for μ in drives])
    assert (coarse < 0.96 * wanted).all()
    np.testing.assert_allclose((wanted - fine) / (wanted - coarse), 0.5, atol=0.1)
    assert (np.hypot(2 * error, its_error) < 0.005 * wanted).all()
    np.testing.assert_allclose(2 * fine - coarse, wanted, rtol=0.01)


def test_the_rate_curve_at_a_fine_step_is_that_of_siegert():
    pytest.importorskip("jax")
    drives = [1.2, 1.5, 2.0]
    rates, error = _rates_under_white_noise(drives, 0.2, 0.0025, 150)
    wanted = np.array([_siegert(μ, 0.2, 1, 10, 2) for μ in drives])
    assert (error < 0.004 * wanted).all()
    np.testing.assert_allclose(rates, wanted, rtol=0.01)
