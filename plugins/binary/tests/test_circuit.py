"""The exact network of a compiled circuit: step by step the probabilities that the circuit draws with."""

from pathlib import Path

import numpy as np
import pytest
from cortexspec_binary.exact import ExactCircuit, exact_of
from cortexspec_binary.measures import words

import cortexspec as cs
from cortexspec.diagnostics import SpecError

SPEC = Path(__file__).parents[3] / "specs" / "infoflux" / "model.cortex"
TEXT = """
use binary

neuron odd {
  input u = 0
  state x ~ bernoulli(0.5)
  x <- RULE
  output x
}

neuron common {
  state y = 0
  y <- normal(0, 1)
  output y
}

circuit net {
  population a[4] : boltzmann(t0 = 2, σ = 0.5, b0 ~ normal(0, 1) per neuron), c[2] : boltzmann
  connect a -> a { rule = bernoulli(0.6, autapses = false); weight ~ normal(0, 2) }
  connect a -> c { weight = 1 }
  connect c -> a { weight = -2 }
}

circuit signs(inside: bool = false) {
  population a[4] : boltzmann(plus_minus = true, noise_inside = inside, t0 = 2, σ = 1)
  connect a -> a { weight ~ normal(0, 1) }
}

circuit mixed {
  population a[2] : boltzmann(plus_minus = true), c[2] : boltzmann
  connect a -> c
  connect c -> a
}

circuit adapting {
  population a[2] : boltzmann(ε = 0.02)
  connect a -> a
}

circuit large {
  population a[30] : boltzmann
  connect a -> a { weight ~ normal(0, 1) }
}

circuit strange {
  population a[3] : odd
  connect a -> a
}
"""


EDITS = """
experiment small of embedded_core {
  simulate { duration = 40; dt = 1 }
  variant isolated     { remove periphery, inter }
  variant no_periphery { remove periphery }
  variant cut_feedback { remove recruit[inter, core], around[periphery, core] }
  variant biased of isolated { core.b0 = -1 }
}
"""


def compiled(circuit: str = "net", rule: str = "bernoulli(sigmoid(u))", **settings) -> cs.Simulation:
    spec = cs.parse(TEXT.replace("RULE", rule))
    return cs.compile(spec, circuit, dt=1, **{"dtype": "float64", "seed": 3, **settings})


def check_step_by_step(sim: cs.Simulation, found: ExactCircuit, owners: list[str]) -> None:
    """The recorded probability of each step is that of the word of the states before it; without noise."""
    run = sim.simulate(duration=40, record=[f"{owner}.{v}" for owner in owners for v in ("x", "p")], trials=5)
    states = np.concatenate([np.asarray(run[f"{owner}.x"]) for owner in owners], axis=-1)
    chances = np.concatenate([np.asarray(run[f"{owner}.p"]) for owner in owners], axis=-1)
    order = [place for owner in owners for place in found.group(f"{owner}.x")]
    assert order == list(range(found.network.neurons))
    on, off = found.network.factors
    np.testing.assert_allclose(chances[:, 1:], on[words(states[:, :-1])], rtol=1e-11)
    np.testing.assert_allclose(1 - chances[:, 1:], off[words(states[:, :-1])], atol=1e-12)


def test_drawn_wiring_and_several_populations() -> None:
    sim = compiled()
    sim.set_parameters({"a.σ": 0.0})
    check_step_by_step(sim, exact_of(sim), ["a", "c"])


def test_parameters_reach_the_network_in_their_units() -> None:
    sim = compiled()
    network = exact_of(sim).network
    np.testing.assert_allclose(network.biases[:4], sim.parameters()["a.b0"], atol=1e-12)
    np.testing.assert_allclose(network.weights[:4, 4:], -2, atol=1e-12)
    np.testing.assert_allclose(network.weights[4:, :4], 1, atol=1e-12)
    assert (np.diag(network.weights) == 0).all() and 0 < (network.weights[:4, :4] == 0).sum() - 4 < 12
    assert network.t0.tolist() == [2] * 4 + [5] * 2
    np.testing.assert_allclose(network.sigma, [0.5] * 4 + [0] * 2)


def test_states_between_minus_one_and_one() -> None:
    sim = compiled("signs")
    found = exact_of(sim).network
    assert found.states == "plus_minus"
    np.testing.assert_allclose(found.weights, sim.parameters()["a_to_a.weight"], atol=1e-12)
    np.testing.assert_allclose(found.biases, 0, atol=1e-12)
    np.testing.assert_allclose(found.sigma, 1)
    inside = exact_of(compiled("signs", arguments={"inside": True})).network
    np.testing.assert_allclose(inside.sigma, 1 / 2)
    sim.set_parameters({"a.σ": 0.0})
    check_step_by_step(sim, exact_of(sim), ["a"])


@pytest.mark.parametrize("variant", [None, "no_periphery", "cut_feedback", "biased"])
def test_a_small_embedded_core_and_its_variants(variant: str | None) -> None:
    circuit = SPEC.read_text(encoding="utf-8").partition("experiment ")[0]
    spec = cs.parse(circuit + EDITS)
    arguments = {"n_core": 4, "n_periphery": 3, "n_inter": 2, "density": 0.4}
    sim = cs.compile(spec, experiment="small", variant=variant, arguments=arguments, dt=1, dtype="float64", seed=1)
    found = exact_of(sim)
    check_step_by_step(sim, found, [name.partition(".")[0] for name in found.groups])
    core = found.group("core.x", 0, 1, 2)
    assert 0 <= found.network.flux(core, core) <= 3


def test_an_input_is_held() -> None:
    arguments = {"n_core": 3, "n_periphery": 3, "n_inter": 2, "density": 0.4}
    sim = cs.compile(SPEC, "embedded_core", arguments, dt=1, dtype="float64", seed=1)
    quiet, driven = exact_of(sim), exact_of(sim, {"replay": 1.5})
    np.testing.assert_allclose(driven.network.biases - quiet.network.biases, [1.5] * 3 + [0] * 5, atol=1e-12)


def test_estimates_of_the_same_circuit() -> None:
    sim = compiled("signs")
    found = exact_of(sim)
    estimate = sim.measure({"f": "flux(a.x[a = 0..1], a.x[a = 2..3])"}, duration=1000, trials=64, warm_up=50)["f"]
    expected = found.network.flux(found.group("a.x", 0, 1), found.group("a.x", 2, 3))
    assert float(estimate) == pytest.approx(expected, rel=0.05, abs=0.002)


@pytest.mark.parametrize(
    ("circuit", "rule", "code", "message"),
    [
        ("large", "", "CS932", "30 neurons"),
        ("adapting", "", "CS934", "a draw changes `a.x` and `a.b`"),
        ("mixed", "", "CS934", "not all 0 and 1"),
        ("strange", "bernoulli(0.3)", "CS934", "not a `sigmoid`"),
        ("strange", "bernoulli(sigmoid(u^2))", "CS934", "not a weighted sum"),
        ("strange", "bernoulli(sigmoid(u)) + bernoulli(sigmoid(u))", "CS934", "a draw changes"),
        ("strange", "poisson(2)", "CS934", "is drawn each step"),
        ("strange", "u", "CS934", "no state is drawn"),
        ("strange", "bernoulli(sigmoid(u*normal(0, 1)))", "CS934", "a term of its own"),
    ],
)
def test_what_is_no_binary_network_is_told(circuit: str, rule: str, code: str, message: str) -> None:
    sim = compiled(circuit, rule or "u")
    with pytest.raises(SpecError) as error:
        exact_of(sim)
    (one,) = error.value.diagnostics
    assert one.code == code and message in one.message


def test_neurons_that_share_their_noise_are_told() -> None:
    text = TEXT.replace("RULE", "bernoulli(sigmoid(u))").replace(
        "population a[3] : odd\n  connect a -> a",
        "population a[3] : boltzmann\n  population n : shared\n  connect a -> a\n  connect n -> a",
    )
    text = text.replace(
        "neuron common {\n  state y = 0\n  y <- normal(0, 1)\n  output y\n}",
        "neuron shared {\n  let η = normal(0, 1)\n  output y = η\n}",
    )
    with pytest.raises(SpecError, match="share their noise"):
        exact_of(cs.compile(cs.parse(text), "strange", dt=1, dtype="float64"))
