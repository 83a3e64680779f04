"""`use binary`: measures of a circuit that is written in the language, against the exact network."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cortexspec_binary.exact import exact

import cortexspec as cs
from cortexspec.diagnostics import SpecError
from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.session import Choice, Session

SPEC = Path(__file__).parents[3] / "specs" / "infoflux" / "model.cortex"

TEXT = """
use binary

neuron unit {
  param b = 0 per neuron
  input u = 0
  state x ~ bernoulli(0.5)
  let p = sigmoid(u + b)
  x <- bernoulli(p)
  output x
}

circuit net(n: int = 5) {
  param W[n, n] = WEIGHTS
  population a[n] : unit
  connect a -> a { weight = W }
}

circuit wide(n: int = 40) {
  population a[n] : unit
}

experiment of_net of net {
  simulate { duration = 3000; dt = 1; warm_up = 100; trials = 20 }
  let A = a.x[a = 0..1], B = a.x[a = 2..4]
  measure intra = flux(A)
  measure inter = mean([flux(A, B), flux(B, A)])
  measure all = intra + inter
  claim "inter" from "here": inter < all
}
"""
WEIGHTS = np.array([[0, 2, -3, 1, 0], [1, 0, 2, -2, 1], [-2, 3, 0, 1, -1], [2, 0, 1, 0, -3], [-1, 2, 1, -2, 0]], float)
CALLS = {
    "entropy": ("entropy(A)", lambda one: one.entropy([0, 1])),
    "divergence": ("divergence(A, B)", lambda one: one.divergence([0, 1], [2, 3, 4])),
    "closed": ("closed_divergence(a.p)", lambda one: one.divergence()),
    "closed_flux": ("entropy(a.x) - closed_divergence(a.p)", lambda one: one.flux()),
    "flux": ("flux(A, B)", lambda one: one.flux([0, 1], [2, 3, 4])),
    "lagged": ("flux(A, B, lag = 2)", lambda one: one.flux([0, 1], [2, 3, 4], 2)),
    "own": ('flux(a.x, correction = "nsb")', lambda one: one.flux()),
    "pooled": ("flux(A, B, pooled = true)", lambda one: one.flux([0, 1], [2, 3, 4])),
    "transfer": ("transfer_entropy(A, a.x[a = 4])", lambda one: one.transfer_entropy([0, 1], [4])),
    "pairs": ('pairwise_flux(a.x, reduce = "sum")', lambda one: pairs(one)),
    "correlation": ("lagged_correlation(A, B)", lambda one: np.sqrt((one.correlation()[2:, :2] ** 2).mean())),
}


def pairs(one: Any) -> float:
    return sum(one.flux([j], [i]) for i in range(5) for j in range(5) if i != j)


def compiled(circuit: str = "net", **settings: Any) -> cs.Simulation:
    rows = ", ".join(str(row.tolist()) for row in WEIGHTS)
    spec = cs.parse(TEXT.replace("WEIGHTS", f"[{rows}]"))
    return cs.compile(spec, circuit, dt=1, dtype="float64", **settings)


@pytest.mark.parametrize("backend", ["interpreter", "jax"])
def test_every_measure_is_near_its_exact_value(backend: str) -> None:
    pytest.importorskip("jax" if backend == "jax" else "numpy")
    one = exact(WEIGHTS, np.zeros(5))
    sim = compiled(backend=backend, seed=1)
    lets = {"A": "a.x[a = 0..1]", "B": "a.x[a = 2..4]"}
    found = sim.measure(
        {name: text for name, (text, _) in CALLS.items()}, duration=3000, trials=40, warm_up=100, lets=lets
    )
    for name, (_, expected) in CALLS.items():
        assert found[name] == pytest.approx(expected(one), rel=0.03, abs=0.003), name


def test_shuffles_take_off_more_than_the_bias() -> None:
    sim = compiled(seed=2)
    texts = {how: f'flux(a.x, correction = "{how}")' for how in ("none", "miller_madow", "shuffle")}
    found = sim.measure(texts, duration=1000, trials=8, warm_up=50)
    assert found["shuffle"] < exact(WEIGHTS, np.zeros(5)).flux() < found["miller_madow"] < found["none"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("flux(a.x)", "CS931"),
        ("entropy(a.x)", "CS931"),
        ("transfer_entropy(a.x, a.x)", "CS931"),
        ('flux(a.x[a = 0], correction = "best")', "CS306"),
        ('entropy(a.x[a = 0], correction = "shuffle")', "CS306"),
        ("flux(a.x[a = 0], lag = 0)", "CS505"),
        ('pairwise_flux(a.x, reduce = "most")', "CS306"),
    ],
)
def test_what_cannot_be_counted_is_told_before_anything_runs(text: str, code: str) -> None:
    with pytest.raises(SpecError, match=code):
        compiled("wide").measure({"x": text}, duration=10**7)


@pytest.mark.parametrize("variant", ["base", "isolated", "cut_feedback", "no_interneurons", "no_core", "homeostatic"])
def test_a_small_embedded_core_is_measured_in_every_variant(variant: str, tmp_path: Path) -> None:
    """specs/infoflux with fewer neurons and steps: `g`, the drive of the surroundings, is no measure where there are none."""
    text = SPEC.read_text(encoding="utf-8")
    small = "embedded_core(n_core = 9, n_periphery = 6, n_inter = 3, density = 0.45)"
    text = text.replace("experiment embedding of embedded_core", f"experiment embedding of {small}", 1)
    text = re.sub(r"duration = \d+; (.*); trials = \d+", r"duration = 300; \1; trials = 3", text, count=1)
    file = tmp_path / "model.cortex"
    file.write_text(text, encoding="utf-8")
    session = Session.open(Choice(file, backend="interpreter"), CellKey("embedding", variant, ()), 1)
    found = session.result().measures
    gone = {"isolated", "homeostatic", "no_interneurons"}
    assert {"intra_flux", "inter_flux", "f", "activity"} <= set(found) and ("g" in found) == (variant not in gone)
    assert 0 <= float(found["activity"]) <= 1
    assert float(found["f"]) == pytest.approx(float(found["intra_flux"]) + float(found["inter_flux"]), rel=1e-5)
