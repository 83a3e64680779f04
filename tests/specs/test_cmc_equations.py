"""specs/cmc against what was found another way: published spectra, an independent right-hand side, what the printed form cannot do."""

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import cortexspec as cs
from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.session import Choice, Session

SPEC = Path(__file__).parents[2] / "specs" / "cmc"

# SPM (spm_fx_cmc, spm_cmc_priors): rates in 1/s, couplings in 1/s with H = 1 mV; rows are (target, source, signed strength).
KAPPA = {"ss": 500.0, "ii": 62.5, "dp": 1000 / 28, "sp": 500.0}
COUPLINGS = [
    ("ss", "ss", -800.0), ("ss", "sp", -800.0), ("ss", "ii", -1600.0), ("ii", "ii", -800.0), ("ii", "ss", 800.0),
    ("ii", "dp", 400.0), ("sp", "sp", -800.0), ("sp", "ss", 800.0), ("dp", "ii", -400.0), ("dp", "dp", -200.0),
]  # fmt: skip
NAMES = list(KAPPA)


def right_hand_side(t: float, state: np.ndarray) -> np.ndarray:
    """Seconds and mV, written apart from the spec; state: v of ss, ii, dp, sp, then w."""
    v, w = state[:4], state[4:]
    rate = 1 / (1 + np.exp(-2 / 3 * v)) - 0.5
    u = np.zeros(4)
    for target, source, strength in COUPLINGS:
        u[NAMES.index(target)] += strength * rate[NAMES.index(source)]
    kappa = np.array(list(KAPPA.values()))
    return np.concatenate([w, kappa * u - 2 * kappa * w - kappa**2 * v])


def test_the_canonical_reading_is_the_same_as_an_independent_solution():
    sim = cs.compile(SPEC, "cmc", {"slow": 1}, solver="dopri8", dtype="float64", rtol=1e-11, atol=1e-13)
    names = [f"{p}.{x}" for p in NAMES for x in ("v", "v'")]
    start = {"ss": 0.5, "ii": -0.4, "dp": 0.3, "sp": 0.8}
    flow = sim.flow()
    state = {f"{p}.v": np.full(flow.states[f"{p}.v"], x) for p, x in start.items()}
    state |= {f"{p}.v'": np.zeros(flow.states[f"{p}.v'"]) for p in NAMES}
    packed = np.array([*start.values(), 0, 0, 0, 0])
    places = [str(place) for place in flow.places]
    slopes = dict(zip(places, flow(flow.pack(state)), strict=True))
    expected = right_hand_side(0.0, packed)
    for i, name in enumerate(NAMES):
        assert slopes[f"{name}.v"] == pytest.approx(expected[i] / 1e3, abs=1e-15)
        assert slopes[f"{name}.v'"] == pytest.approx(expected[4 + i] / 1e6, rel=1e-12)
    ours = solve_ivp(lambda t, y: flow(y), (0, 30.0), flow.pack(state), "DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
    theirs = solve_ivp(right_hand_side, (0, 0.03), packed, "DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
    found = dict(zip(places, ours, strict=True))
    assert [found[f"{n}.v"] for n in NAMES] == pytest.approx(theirs[:4].tolist(), abs=1e-9)
    assert set(names) == set(places)


@pytest.mark.parametrize(
    ("experiment", "per_second", "published", "tolerance"),
    [
        ("rest", 1e3, [-33.8 + 45.6j, -58.6 + 106j, -387 + 283j, -619 + 286j], 0.6),
        ("rest2014", 1e3, [-34.5 + 69.6j, -52.3 + 142j, -365 + 343j, -647 + 351j], 0.6),
        ("rest_public_code", 1.0, [-0.251 + 0.155j, -3.99 + 0.81j], 0.006),
    ],
)
def test_spectra_at_rest_are_the_published_ones(experiment, per_second, published, tolerance):
    session = Session.open(Choice(SPEC, backend="interpreter"), CellKey(experiment, "base", ()), 0)
    found = np.asarray(session.result().measures["spectrum"]) * per_second
    assert len(found) == 8
    for value in published:
        assert np.abs(found - value).min() < tolerance


def test_in_the_printed_equations_nothing_reaches_ii_and_dp():
    sim = cs.compile(SPEC, "cmc_as_printed", solver="euler", dt=0.05, duration=1.0, dtype="float64")
    run = sim.simulate({"I": 1.0}, record=["v1.v", "v2.v", "v3.v", "v4.v"])
    assert np.abs(run["v1.v"].values).max() > 0.1
    assert not run["v2.v"].values.any() and not run["v3.v"].values.any()


def test_euler_is_stable_below_the_published_limit_and_not_above():
    """2.66 ms in the units of SPM (specs/cmc, slow = 1)."""
    for dt, stable in (("2.5 ms", True), ("2.9 ms", False)):
        sim = cs.compile(SPEC, "cmc", {"slow": 1}, solver="euler", dt=dt, dtype="float64")
        values = sim.flow().jacobian(np.zeros(8))
        step = np.eye(8) + float(dt.split()[0]) * values
        assert (np.abs(np.linalg.eigvals(step)).max() < 1) == stable


@pytest.mark.parametrize("population", ["ss", "ii", "dp", "sp"])
def test_an_ablation_removes_the_population_and_every_term_with_its_rate(population):
    key = CellKey("ablation", f"without_{population}", (("regions", 2),))
    model = Session.open(Choice(SPEC, backend="interpreter"), key, 1).simulation.model
    assert sorted(p.path for p in model.populations) == sorted(f"V.{p}" for p in NAMES if p != population)
    base = Session.open(Choice(SPEC, backend="interpreter"), CellKey("ablation", "base", (("regions", 2),)), 1)
    kept = {p.path for p in model.projections}
    for projection in base.simulation.model.projections:
        names = projection.path.removeprefix("V.").split("_to_")
        assert (projection.path in kept) == (population not in names)


def test_the_size_of_the_150_000_configuration():
    """papers: 150,561 with 18 constants a region in the public code; here a region has 15 (4 κ, 10 γ, a)."""
    session = Session.open(Choice(SPEC, backend="interpreter"), CellKey("mnist", "base", (("regions", 5),)), 1)
    simulation = session.simulation
    assert sum(simulation.parameters()[name].size for name in simulation.trainable) == 150_561 - 5 * 3
