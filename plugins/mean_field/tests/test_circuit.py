"""The network that the theory reads from a spec, against the same of plain numbers; the theory as a spec names it."""

from pathlib import Path

import numpy as np
import pytest
from cortexspec_mean_field import exponential, linear_kernel, network_of, rice_theory

import cortexspec
from cortexspec.diagnostics import SpecError
from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.session import Choice, Session

NEURON = """
use mean_field

neuron crossing {
  param τ_m = 10 ms
  param θ = 1 V  per neuron
  input I : V
  state v = 0 V
  τ_m*v' = I - v
  spike when v crosses θ
}

neuron constant {
  param current : V = 0 V  per neuron
  output current
}

synapse exponential_current(τ: ms = 5 ms) { input z; state g : V = 0  per post; τ*g' = z - g; output g }
synapse alpha_current(τ: ms = 5 ms) { input z; state g : V = 0  per post; τ^2*g'' + 2*τ*g' + g = z; output g }
synapse two_currents(share: real = 0.8, fast: ms = 3 ms, slow: ms = 80 ms) {
  input z
  state f : V = 0, g : V = 0  per post
  fast*f' = share*z - f
  slow*g' = (1 - share)*z - g
  output f + g
}
"""
RING = (
    NEURON
    + """
circuit ring(N: int = 64, K: int = 6, τ_E: ms = 5 ms, τ_I: ms = 3 ms) {
  param μ = 0.25, modulation = 0.225, θ_s = 0 rad, α0 = 0 V
  population E[N], I[N] : crossing(θ ~ normal(1 V, α0))
  group cells = [E, I]
  attribute E.φ : rad = 2*π*index/N
  attribute I.φ : rad = 2*π*index/N
  let J[cells, cells] = 0.05 V/Hz*[[1, -2.5], [2, -3]]
  let ν[cells] = [4 Hz, 6 Hz]
  let e[cells] = -(J @ ν)
  for a in cells {
    connect E -> a {
      rule = RULE
      weight = J[a, E]/sqrt(K)
      synapse = exponential_current(τ_E)
    }
    connect I -> a {
      rule = RULE
      weight = J[a, I]/sqrt(K)
      synapse = INHIBITORY
    }
    connect constant(current = sqrt(K)*e[a]*(1 + modulation*cos(post.φ - θ_s))) -> a
  }
}
"""
)
COSINE = "bernoulli(K/N*(1 + 2*μ*cos(post.φ - pre.φ)))"


def text(rule: str = COSINE, inhibitory: str = "exponential_current(τ_I)") -> str:
    return RING.replace("RULE", rule).replace("INHIBITORY", inhibitory)


def read(spec: str, **arguments: object):
    return network_of(cortexspec.compile(cortexspec.parse(spec), arguments=arguments))


def test_a_circuit_gives_the_network_of_its_numbers(ring) -> None:
    """Units: V, s, Hz by hand, mV, ms, kHz in a circuit."""
    found = read(text())
    wanted = ring(K=6, probability=6 / 64)
    np.testing.assert_allclose(found.weights / 1e6, wanted.weights, rtol=1e-9)
    np.testing.assert_allclose(found.drive / 1e3, wanted.drive, rtol=1e-9)
    np.testing.assert_allclose(found.profiles, wanted.profiles, rtol=1e-9)
    np.testing.assert_allclose(found.probability, wanted.probability, rtol=1e-9)
    np.testing.assert_allclose(found.moments("d2") * 1e9, wanted.moments("d2"), rtol=1e-9)
    np.testing.assert_allclose(found.K, 6)
    assert found.names == ("E", "I")
    one, other = rice_theory(found, np.inf), rice_theory(wanted, np.inf)
    np.testing.assert_allclose(one.rates * 1e3, other.rates, rtol=1e-7)


def test_thresholds_that_are_drawn_have_a_spread() -> None:
    found = read(text().replace("α0 = 0 V", "α0 = 0.5 V"))
    np.testing.assert_allclose(found.threshold, 1000)
    np.testing.assert_allclose(found.spread, 500)


def test_kernels_are_those_of_the_equations() -> None:
    alpha = read(text(inhibitory="alpha_current(τ_I)")).kernels[0][1]
    wanted = linear_kernel([[-0.1, 0.1, 0], [0, 0, 1], [0, -1 / 9, -2 / 3]], [0, 0, 1 / 9], [1, 0, 0])
    for name in ("k2", "d2", "k3", "kd2"):
        assert getattr(alpha, name) == pytest.approx(getattr(wanted, name), rel=1e-8)
    both = read(text(inhibitory="two_currents(0.8, 3 ms, 80 ms)")).kernels[1][1]
    wanted = linear_kernel([[-0.1, 0.1, 0.1], [0, -1 / 3, 0], [0, 0, -1 / 80]], [0, 0.8 / 3, 0.2 / 80], [1, 0, 0])
    for name in ("k2", "d2", "k3", "kd2"):
        assert getattr(both, name) == pytest.approx(getattr(wanted, name), rel=1e-8)
    assert read(text()).kernels[0][0].k2 == pytest.approx(exponential(10, 5).k2, rel=1e-9)


def test_von_mises_connections_and_a_fixed_in_degree() -> None:
    rule = "bernoulli(K/N*exp(0.5*cos(post.φ - pre.φ))/1.0634833707413236)"
    found = read(text(rule))
    angles = found.angles
    np.testing.assert_allclose(found.profiles[0, 1], np.exp(0.5 * np.cos(angles)) / np.exp(0.5 * np.cos(angles)).mean())
    np.testing.assert_allclose(found.K, 6)
    fixed = read(text("fixed_indegree(K)").replace("modulation = 0.225", "modulation = 0"))
    assert fixed.degree == "fixed"
    np.testing.assert_allclose(fixed.profiles, 1)
    np.testing.assert_allclose(fixed.in_degree * fixed.K, 6)


def test_a_stimulus_elsewhere_turns_the_profile() -> None:
    here, there = (rice_theory(read(text().replace("θ_s = 0 rad", f"θ_s = {one} rad")), 2) for one in ("0", "1.3"))
    for number in (0, 1, 2):
        np.testing.assert_allclose(here.harmonic(number), there.harmonic(number), rtol=1e-6)


def test_a_spec_names_numbers_of_the_theory(tmp_path: Path) -> None:
    spec = (
        text()
        + """
experiment theory of ring {
  let limit = rice_theory(order = infinity)
  let rice = rice_theory()
  measure ratio = limit.harmonic_2_E/limit.harmonic_0_E
  measure mean_I = rice.mean_I
  measure cv2 = rice.cv2_E
  measure bound = rice.bound
  measure exists = rice.exists
  measure high = rice.rate_quantile_90_E
  measure pair = rice.pair_90_E
  measure selective = rice.osi_quantile_95_I
  measure peaks = rice.peak_cv_E
  measure variance = rice.variance_I
}
"""
    )
    file = tmp_path / "model.cortex"
    file.write_text(spec, encoding="utf-8")
    choice = Choice(file, backend="interpreter", dtype="float64")
    found = Session.open(choice, CellKey("theory", "base", ()), 1).result().measures
    network = read(text())
    limit, rice = rice_theory(network, np.inf), rice_theory(network, 2)
    assert found["ratio"] == pytest.approx((limit.harmonic(2) / limit.mean)[0])
    assert found["mean_I"] == pytest.approx(rice.mean[1])
    assert found["cv2"] == pytest.approx(rice.squares[0].mean() / rice.mean[0] ** 2 - 1)
    assert found["bound"] == pytest.approx(rice.bound)
    assert found["exists"] == 1
    assert found["high"] == pytest.approx(rice.quantile(0.9))
    assert found["pair"] == pytest.approx(rice.pair(np.pi / 2))
    assert found["selective"] == pytest.approx(rice.ensemble.selectivity(1, 0.95))
    assert found["variance"] == pytest.approx(rice.moments.variance[1].mean())


def test_a_theory_draws_no_connection_and_says_where_no_state_is(tmp_path: Path) -> None:
    spec = (
        (
            text()
            + """
experiment theory of ring(K = 2, τ_I = 12 ms) {
  let limit = rice_theory(order = infinity, stimuli = 6)
  measure exists = limit.exists
  vary { contrast = [1, 2] }
}
"""
        )
        .replace("μ = 0.25,", "μ = 0.25, contrast = 1,")
        .replace("sqrt(K)*e[a]", "sqrt(K)*contrast*e[a]")
    )
    file = tmp_path / "model.cortex"
    file.write_text(spec, encoding="utf-8")
    choice = Choice(file, backend="interpreter", dtype="float64")
    sessions = [Session.open(choice, CellKey("theory", "base", (("contrast", one),)), 1) for one in (1, 2)]
    assert all(one.simulation.sizes["E_to_E.edges"] == 0 for one in sessions)
    assert [one.result().measures["exists"] for one in sessions] == [1, 0]


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        (("[4 Hz, 6 Hz]", "[4 Hz, -6 Hz]"), "CS953", "positive"),
        (("spike when v crosses θ", "spike when v > θ { v <- 0 V }"), "CS952", "crossing"),
        (("      synapse = exponential_current(τ_E)\n", ""), "CS951", "jump"),
        (("τ_m*v' = I - v", "τ_m*v' = I - v^2/θ"), "CS952", "linear"),
        (("cos(post.φ - pre.φ)", "cos(post.φ + pre.φ)"), "CS952", "difference"),
    ],
)
def test_what_the_theory_is_not_of_is_named(change: tuple[str, str], code: str, named: str) -> None:
    with pytest.raises(SpecError, match=code) as caught:
        rice_theory(read(text().replace(*change)), 2)
    assert named in str(caught.value)


def test_a_name_that_the_theory_does_not_have_is_told_before_anything_runs() -> None:
    spec = text() + "experiment theory of ring { let rice = rice_theory(); measure x = rice.median_E }"
    with pytest.raises(SpecError, match="median_E"):
        cortexspec.compile(cortexspec.parse(spec), "ring", experiment="theory")
