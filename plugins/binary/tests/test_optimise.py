"""Biases of largest flux as a spec asks for them: by evolution on what runs show, and along the gradient of exact flux."""

from pathlib import Path

import numpy as np
import pytest
from cortexspec_binary.exact import exact, exact_of
from scipy.optimize import minimize

import cortexspec
from cortexspec.diagnostics import SpecError
from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.session import Choice, Session
from cortexspec.expressions.parse import parse_expression
from cortexspec.runtime.measure import known_measures, plan_of, value_and_gradient

SPEC = """
use binary

circuit three(n: int = 3) {
  population core[n] : boltzmann(t0 = 2)
  connect within: core -> core { rule = fixed_total(n*(n - 1), autapses = false); weight ~ normal(0, 6) }
}

experiment sampled of three {
  simulate { duration = 200; dt = 1; warm_up = 20; trials = 50 }
  measure f = flux(core.x)
  measure limit = exact_flux(core.x)
  train {
    parameters = [core.b0]
    maximize = f
    optimizer = evolution(parents = 3, offspring = 10, step = 4, decay = 0.85)
    epochs = 12
  }
}

experiment ascent of three {
  simulate { dt = 1 }
  measure limit = exact_flux(core.x)
  train { parameters = [core.b0]; maximize = limit; optimizer = adam(lr = 0.5); epochs = 80 }
}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "three.cortex"
    path.write_text(SPEC, encoding="utf-8")
    return path


def opened(spec: Path, experiment: str, backend: str = "interpreter") -> Session:
    return Session.open(Choice(spec, backend=backend, dtype="float64"), CellKey(experiment, "base", ()), 1)


def largest_flux(spec: Path) -> float:
    """The optimum over the biases: a grid of 11^3 points between the saturated ones, then each of the best by itself."""
    network = exact_of(cortexspec.compile(spec, "three", dt=1, seed=1)).network
    reach = np.abs(network.weights).sum(axis=1) + 4

    def flux(biases: np.ndarray) -> float:
        return exact(network.weights, biases, t0=network.t0).flux()

    axes = [np.linspace(-size, size, 11) for size in reach]
    points = np.stack([one.ravel() for one in np.meshgrid(*axes)], axis=1)
    values = np.array([flux(point) for point in points])
    best = points[np.argsort(values)[-5:]]
    return max(-float(minimize(lambda b: -flux(b), point, method="Nelder-Mead").fun) for point in best)


def test_ascent_reaches_the_optimum_of_a_fine_search_and_evolution_nine_tenths_of_it(spec: Path) -> None:
    pytest.importorskip("jax")
    best = largest_flux(spec)
    found = opened(spec, "ascent").result()
    assert found.measures["limit"] == pytest.approx(best, rel=1e-3)
    sampled = opened(spec, "sampled", "jax").result()
    assert sampled.measures["limit"] > 0.9 * best
    assert sampled.measures["limit"] <= best * (1 + 1e-9)


@pytest.mark.parametrize("path", ["core.b0", "within.weight", "core.t0"])
def test_the_gradient_of_an_expression_of_exact_fluxes(spec: Path, path: str) -> None:
    """By parameters that act through a state's start, through connections, and through the softness."""
    simulation = cortexspec.compile(spec, "three", dt=1, seed=1, dtype="float64")
    simulation.set_parameters({"core.b0": np.array([0.3, -1.0, 2.0])})
    written = {"g": "exact_flux(core.x[core = 0..1], core.x[core = 2])^2 + 2*h", "h": "exact_flux(core.x, lag = 2)"}
    plan = plan_of({name: parse_expression(one) for name, one in written.items()}, {}, known_measures(simulation))
    value, gradient = value_and_gradient(simulation, plan.for_measure("g"), "g", [path])
    assert value == pytest.approx(float(simulation.measure(written)["g"]))
    raw = simulation.raw_parameters()[path]
    for place in np.ndindex(raw.shape):
        ends = []
        for sign in (1, -1):
            moved = raw.copy()
            moved[place] += sign * 1e-5
            simulation.set_raw_parameters({path: moved})
            ends.append(float(simulation.measure(written)["g"]))
        simulation.set_raw_parameters({path: raw})
        assert gradient[path][place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize(
    ("experiment", "edit", "code", "line"),
    [
        ("sampled", ("evolution(parents = 3, offspring = 10, step = 4, decay = 0.85)", "adam"), "CS925", 16),
        ("ascent", ("maximize = limit", "maximize = core.x"), "CS924", 24),
        ("ascent", ("exact_flux(core.x)", "exact_flux(1 - core.x)"), "CS934", 23),
        ("ascent", ("exact_flux(core.x)", "exact_flux(core.p)"), "CS308", 23),
        ("ascent", ("exact_flux(core.x)", "exact_flux(core.x, lag = 0)"), "CS505", 23),
        ("ascent", ("n: int = 3", "n: int = 12"), "CS932", 23),
        ("ascent", ("parameters = [core.b0]; maximize = limit", "parameters = [core.σ]; maximize = limit"), "CS925", 0),
    ],
)
def test_wrong_use_is_told_at_its_place(
    spec: Path, experiment: str, edit: tuple[str, str], code: str, line: int
) -> None:
    spec.write_text(SPEC.replace(*edit), encoding="utf-8")
    with pytest.raises(SpecError, match=code) as found:
        opened(spec, experiment).result()
    span = found.value.diagnostics[0].span
    assert (0 if span is None else span.line) == line
