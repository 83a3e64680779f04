"""The form that sizes give a rollout: populations apart or together, and sizes of one. All give the interpreter's values and gradients."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

pytest.importorskip("jax")

import jax

import cortexspec as cs

SPEC = """
neuron mass {
  param κ = 0.05 kHz  trainable
  param H = 1 mV
  input u : kHz
  state v = 0 mV, v' = 0 mV/ms
  v'' + 2*κ*v' + κ^2*v = κ*H*u
  output v
  output r = tanh(0.3 mV^-1*v)
}

circuit column {
  param g = 0.08 kHz, h = 0.04 kHz  trainable
  input context : kHz = 0 kHz
  population e : mass
  population i : mass(κ = 0.02 kHz)
  group cells = [e, i]
  connect e.r -> i.u { weight = g }
  connect i.r -> e.u { weight = -h }
  for p in cells { connect context -> p.u }
  output activity = mean(cells.v)
}

circuit sheet(columns: int) {
  input v0[columns, 2] : mV
  part V[columns] : column
  start V.cells.v = v0
  param W[V, V] : kHz/mV ~ normal(0, 0.1 kHz/mV)  trainable
  connect between: V.activity -> V.context { weight = W }
  output e = V.e.v
}
"""
COLUMNS, FEW, MANY = 11, 109, 110  # 11*10*110 zeros are more than 12,000
TRAINED = ("V.g", "V.e.κ", "W")


@cache
def compiled(backend: str, columns: int = COLUMNS, text: str = SPEC, **more):
    spec = cs.parse(text)
    settings = {"dtype": "float64", "dt": "2 ms", "duration": "20 ms", **more}
    return cs.compile(spec, "sheet", {"columns": columns}, backend=backend, **settings)


def start(module, samples: int, columns: int = COLUMNS):
    (value,) = [value for value in module.function("rollout").inputs if value.name == "v0"]
    sizes = {"sample": samples, "plain": 2}
    axes = [value.type.axis(name) for name in module.layout.sort(value.type.names)]
    shape = [sizes[axis.role] if axis.size.bind(module.sizes).fixed != columns else columns for axis in axes]
    return np.random.default_rng(0).normal(size=shape)


def states_of_the_loop(circuit, name: str, samples: int) -> int:
    """What the loop carries: v and v', for all populations or for each."""
    arguments = circuit.arguments(name, {"v0": start(circuit.bound.module, samples)}, {}, {})
    with circuit.scope():
        jaxpr = jax.make_jaxpr(circuit.function(name))(*arguments)
    (scan,) = [line for line in jaxpr.jaxpr.eqns if line.primitive.name == "scan"]
    return sum(value.aval.ndim >= 2 for value in scan.invars[scan.params["num_consts"] :])


def test_the_form_goes_by_the_sizes_of_the_call():
    circuit = compiled("jax").module
    assert states_of_the_loop(circuit, "rollout", FEW) == states_of_the_loop(circuit, "rollout", 1) == 2
    assert states_of_the_loop(circuit, "rollout", MANY) == states_of_the_loop(circuit, "rollout_apart", 1) == 4


def test_a_single_instance_has_one_form():
    assert "rollout_apart" not in compiled("jax", columns=1).module.table


def test_without_the_pass_nothing_is_chosen():
    assert "BY_SIZE" not in compiled("jax", pipeline=()).program


@pytest.mark.parametrize("samples", [3, MANY])
def test_a_run_is_the_interpreter_s_run(samples):
    v0 = np.random.default_rng(0).normal(size=(samples, COLUMNS, 2))
    runs = [compiled(backend).simulate({"v0": v0}, record=["e", "V.i.v"]) for backend in ("interpreter", "jax")]
    for name in ("e", "V.i.v"):
        wanted, found = (run[name].to_numpy() for run in runs)
        assert np.abs(found - wanted).max() < 1e-12 * np.abs(wanted).max()


@pytest.mark.parametrize("samples", [3, MANY])
def test_all_give_the_same_gradients(samples):
    circuit = compiled("jax").module
    names, outputs = circuit.table["rollout"][1:]
    v0 = start(circuit.bound.module, samples)
    given = dict(zip(names, circuit.arguments("rollout", {"v0": v0}, {}, {}), strict=True))

    def gradients(function):
        def loss(leaves):
            found = function(*({**given, **leaves}[name] for name in names))
            return (found[outputs.index("e[time = end]")] ** 2).mean()

        with circuit.scope():
            return jax.grad(loss)({name: given[name] for name in TRAINED})

    forms = (circuit.function("rollout"), circuit.table["rollout"][0], circuit.table["rollout_apart"][0])
    found = [gradients(form) for form in forms]
    for name in TRAINED:
        largest = np.abs(np.asarray(found[0][name])).max()
        assert largest > 0
        for other in found[1:]:
            assert np.abs(np.asarray(other[name]) - np.asarray(found[0][name])).max() < 1e-10 * largest


# Between columns only, so that one column gets nothing from itself.
OTHERS = SPEC.replace("weight = W", "weight = off_diagonal(W)")


def operations_of_a_step(columns: int) -> list[str]:
    """What stands right of each `=` in the first step function."""
    _, _, text = compiled("jax", columns, OTHERS).program.partition("def time_step(carry, frame):\n")
    lines = text.partition("        return")[0].splitlines()[1:]
    return [line.partition("#")[0].partition(" = ")[2].strip() for line in lines]


def test_one_column_has_as_many_operations_as_five_but_one_product_less():
    one, five = operations_of_a_step(1), operations_of_a_step(5)
    assert len(one) == len(five)
    assert sum("matrix_product" in line for line in one) == 1
    assert sum("matrix_product" in line for line in five) == 2


@pytest.mark.parametrize(
    ("solver", "duration", "samples"), [("euler", "20 ms", 3), ("euler", "2 ms", 1), ("rk4", "20 ms", 1)]
)
@pytest.mark.parametrize("text", [SPEC, OTHERS])
def test_one_column_runs_as_the_interpreter_s(text, solver, duration, samples):
    v0 = np.random.default_rng(0).normal(size=(samples, 1, 2))
    settings = {"text": text, "solver": solver, "duration": duration}
    runs = [
        compiled(name, 1, **settings).simulate({"v0": v0}, record=["e", "V.i.v"]) for name in ("interpreter", "jax")
    ]
    for name in ("e", "V.i.v"):
        wanted, found = (run[name].to_numpy() for run in runs)
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() < 1e-12 * np.abs(wanted).max()


def test_one_column_s_gradients_are_the_interpreter_s():
    v0 = {"v0": np.random.default_rng(0).normal(size=(3, 1, 2))}
    loss = "mean((e[time = end] / 1 mV)^2)"
    (wanted, expected), (value, found) = (
        compiled(name, 1, OTHERS).value_and_grad(loss, v0) for name in ("interpreter", "jax")
    )
    assert abs(value - wanted) < 1e-12 * wanted
    for name in TRAINED:
        assert np.abs(found[name] - expected[name]).max() <= 1e-10 * np.abs(expected[name]).max()


def test_one_column_has_its_adaptive_solvers():
    v0 = {"v0": np.random.default_rng(0).normal(size=(2, 1, 2))}
    wanted, found = (
        compiled("jax", 1, OTHERS, solver=solver, dt=dt).simulate(v0, record=["e"])["e"].to_numpy()[:, -1]
        for solver, dt in (("rk4", "0.1 ms"), ("tsit5", "2 ms"))
    )
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()
