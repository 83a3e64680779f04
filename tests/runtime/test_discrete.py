"""Discrete populations: the order of a step against a loop written by hand, the same states whatever the batch, wrong probabilities."""

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.ir.ops.random import below, draw_words

BINARY = """
neuron binary {
  param t0 = 2  in positive
  param σ = 0.5
  param ε = 0.1
  input u
  state x ~ bernoulli(0.5)
  state b = 0
  let p = sigmoid((u + b)/t0 + σ*normal(0, 1))
  let z = bernoulli(p)
  x <- z
  b <- b - ε*(z - 1/2)
  output x
}
"""
MIXED = (
    BINARY
    + """
neuron leaky {
  param τ = 10
  input u = 0
  state v = 0.3
  τ*v' = u - v
  output v
}

circuit mixed {
  population A[5] : binary
  population B[3] : leaky
  connect A -> A { rule = all_to_all(autapses = false); weight ~ normal(0, 1) }
  connect B -> A { weight ~ normal(0, 2) }
  connect A -> B { weight ~ normal(0.5, 1) }
  connect B -> B { weight = -0.2 }
}
"""
)
STEPS, SEED = 40, 11
RECORD = ("A.x", "A.b", "A.p", "A.u", "B.v")
ENGINES = ("interpreter", "torch", "jax")


def compiled(text, circuit, backend="interpreter", **options):
    if backend != "interpreter":
        pytest.importorskip({"torch": "torch.nn", "jax": "jax"}[backend])
    return cs.compile(cs.parse(text), circuit, backend=backend, dt=1, dtype="float64", **{"seed": SEED, **options})


def words(site, trial, step, count):
    keys = [np.array(number) for number in (trial, *(() if step is None else (step,)))]
    return draw_words(site, np.array(SEED), keys, count)


def normals(site, trial, step, count):
    """Box and Muller's."""
    high, low = (word.astype(float) for word in words(site, trial, step, count))
    return np.sqrt(-2 * np.log((high + 0.5) / 2**32)) * np.cos(2 * np.pi * low / 2**32)


def by_hand(sim, trial, solver):
    """Each step: read z(t), b(t) and v(t) everywhere; draw η, then U; then z(t+1) = [U < p]; then b, from the new z; then v."""
    parameters = sim.parameters()
    within = parameters["A_to_A.weight"] * (1 - np.eye(5))
    z = below(words("A.x#0", trial, None, 5), np.full(5, 0.5)).astype(float)
    b, v = np.zeros(5), np.full(3, 0.3)
    rows = {name: [] for name in RECORD}
    for step in range(STEPS):
        u = within @ z + parameters["B_to_A.weight"] @ v
        noise = normals("A.p#0", trial, step, 5)
        p = 1 / (1 + np.exp(-((u + b) / 2 + 0.5 * noise)))
        new = below(words("A.z#0", trial, step, 5), p).astype(float)

        def slope(v, drive=parameters["A_to_B.weight"] @ z):
            return (drive - 0.2 * v.sum() - v) / 10

        if solver == "euler":
            v = v + slope(v)
        else:  # what a discrete population sends is held over the step
            k1 = slope(v)
            k2 = slope(v + k1 / 2)
            k3 = slope(v + k2 / 2)
            v = v + (k1 + 2 * k2 + 2 * k3 + slope(v + k3)) / 6
        z, b = new, b - 0.1 * (new - 0.5)
        for name, value in zip(RECORD, (z, b, p, u, v), strict=True):
            rows[name].append(value)
    return {name: np.array(found) for name, found in rows.items()}


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("solver", ["euler", "rk4"])
def test_the_written_order_of_a_step_in_a_mixed_circuit(backend, solver):
    sim = compiled(MIXED, "mixed", backend, solver=solver)
    run = sim.simulate(duration=STEPS, trials=3, record=RECORD)
    for trial in range(3):
        wanted = by_hand(sim, trial, solver)
        np.testing.assert_array_equal(run["A.x"].values[trial], wanted["A.x"])
        for name in RECORD:
            np.testing.assert_allclose(run[name].values[trial], wanted[name], rtol=0, atol=1e-12, err_msg=name)
    assert 0.1 < run["A.x"].values.mean() < 0.9


@pytest.mark.parametrize("backend", ENGINES)
def test_a_replica_is_the_same_in_any_batch(backend):
    sim = compiled(MIXED, "mixed", backend)
    whole = sim.simulate(duration=STEPS, trials=7, record=["A.x"])["A.x"].values
    part = sim.simulate(duration=STEPS, trials=2, first_trial=3, record=["A.x"])["A.x"].values
    np.testing.assert_array_equal(part, whole[3:5])
    assert not np.array_equal(whole[0], whole[1])


def test_the_parts_of_one_type_draw_apart():
    text = BINARY + "circuit two { input u = 0; population A[40], B[40] : binary; connect u -> A.u; connect u -> B.u }"
    run = compiled(text, "two").simulate(duration=20, trials=1, record=["A.x", "B.x"])
    assert 0.3 < np.mean(run["A.x"].values != run["B.x"].values) < 0.7


FLIPPING = """
neuron flipping {
  input u = 0
  state x = 0
  x <- bernoulli(P)
  output x
}

circuit coins {
  input drive[3]
  population A[3] : flipping
  connect drive -> A
}
"""


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("p", ["0.5 + u", "u/(2*u - 0.4)"])  # above 1, no number
def test_a_probability_that_leaves_the_unit_interval_stops_the_run(backend, p):
    drive = np.zeros((2, 6, 3))
    drive[1, 2, 1] = 0.6 if p.startswith("0.5") else 0.2
    text = FLIPPING.replace("P", p, 1)
    with pytest.raises(cs.SpecError) as caught:  # and the states of the last step are numbers again
        compiled(text, "coins", backend).simulate({"drive": drive}, duration=6, record=["A.x[time = end]"])
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "CS915" and "after step 3 of trial 1" in diagnostic.message
    assert "bernoulli" in diagnostic.help


@pytest.mark.parametrize("p", ["1.5", "-0.2", "2*0.6"])
def test_a_written_probability_is_judged_before_anything_runs(p):
    with pytest.raises(cs.SpecError) as caught:
        compiled(FLIPPING.replace("P", p, 1), "coins")
    assert [d.code for d in caught.value.diagnostics] == ["CS512"]


@pytest.mark.parametrize("p", ["a", "a*k", "1 - a"])
def test_a_probability_that_parameters_settle_is_judged_before_anything_runs(p):
    text = FLIPPING.replace("P", p, 1).replace("input u = 0", "input u = 0\n  param a = A  per neuron\n  param k = 2")
    compiled(text.replace("= A", "= 0.5"), "coins").simulate({"drive": np.zeros(3)}, duration=3)
    with pytest.raises(cs.SpecError) as caught:
        compiled(text.replace("= A", "= 1.1"), "coins")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "CS512" and "`A.x`" in diagnostic.message and diagnostic.span.line == 7


def test_the_draw_of_a_start_is_judged_too():
    text = FLIPPING.replace("P", "0.5", 1).replace("state x = 0", "param a = -0.1\n  state x ~ bernoulli(a)")
    with pytest.raises(cs.SpecError) as caught:
        compiled(text, "coins")
    assert [d.code for d in caught.value.diagnostics] == ["CS512"]


def test_steps_are_counted_where_time_is_given_without_a_unit():
    text = FLIPPING.replace("P", "0.5", 1)
    sim = cs.compile(cs.parse(text), "coins", dt="1", duration="5")
    assert sim.model.time_unit.name() == "1" and sim.simulate({"drive": np.zeros(3)}).sizes["time"] == 5
    leaky = cs.parse("neuron leaky {\n state v = 1\n (10 ms)*v' = -v\n}\ncircuit one { population a : leaky }\n")
    with pytest.raises(cs.SpecError) as caught:
        cs.compile(leaky, "one", dt="1")
    assert [d.code for d in caught.value.diagnostics] == ["CS401"] and "dt is wanted in ms" in str(caught.value)


def test_a_binary_state_has_no_equation_beside_its_update():
    text = FLIPPING.replace("x <- bernoulli(P)", "x <- bernoulli(0.5)\n  10*x' = -x")
    with pytest.raises(cs.SpecError) as caught:
        compiled(text, "coins")
    assert "CS317" in {d.code for d in caught.value.diagnostics}
