"""Compile, run, differentiate, keep: the public face on the interpreter, against equations written in NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cortexspec as cs

OSCILLATORS = '''
"""A damped oscillator that a force drives; in an array, each pulls at the mean of the others."""
neuron oscillator {
  param ω = 100 Hz  trainable in positive(by = exp)
  param ζ = 0.1  per neuron trainable in nonnegative
  input force : mV/ms^2 = 0
  state x = 1 mV, x' = 0 mV/ms
  let pull = force - ω^2*x
  x'' + 2*ζ*ω*x' = pull
  output x
  output rate = sigmoid(x/(1 mV))*1 Hz
}

circuit chain(n: int = 3) {
  input push : mV/ms^2 = 0
  population a[n], b[2] : oscillator
  group all = [a, b]
  connect push -> a.force
  connect forth: a.x -> b.force { weight ~ normal(0 kHz^2, 0.001 kHz^2) trainable }
  output total = mean(all.x)
}
'''


@pytest.fixture(scope="module")
def spec() -> cs.Spec:
    return cs.parse(OSCILLATORS)


def compiled(spec: cs.Spec, **options: object) -> cs.Simulation:
    return cs.compile(spec, "chain", **{"dtype": "float64", "dt": "0.5 ms", "duration": "10 ms", **options})  # type: ignore[arg-type]


def by_hand(sim: cs.Simulation, steps: int, push: np.ndarray) -> dict[str, np.ndarray]:
    """Euler. Shapes: push [trial, steps]; gives x of a [trial, n] and of b [trial, 2]."""
    natural = sim.parameters()
    trials = len(push)
    x = {"a": np.ones((trials, 3)), "b": np.ones((trials, 2))}
    v = {name: np.zeros_like(array) for name, array in x.items()}
    for step in range(steps):
        force = {"a": push[:, step, None], "b": x["a"] @ natural["forth.weight"].T}
        slope = {
            p: force[p] - natural[f"{p}.ω"] ** 2 * x[p] - 2 * natural[f"{p}.ζ"] * natural[f"{p}.ω"] * v[p] for p in x
        }
        x, v = {p: x[p] + 0.5 * v[p] for p in x}, {p: v[p] + 0.5 * slope[p] for p in x}
    return x


def test_a_run_is_the_equations(spec: cs.Spec) -> None:
    sim = compiled(spec)
    push = np.array([0.0, 0.3])
    run = sim.simulate(
        {"push": push}, record=["a.x", "all.x", "a.rate", "b.pull", "forth.arriving", "total[time = end]"]
    )
    wanted = by_hand(sim, 20, np.repeat(push[:, None], 20, 1))
    assert run["a.x"].dims == ("trial", "time", "a")
    assert run["all.x"].shape == (2, 20, 5)
    np.testing.assert_allclose(run["a.x"].values[:, -1], wanted["a"], rtol=1e-13)
    np.testing.assert_allclose(run["all.x"].values[:, -1, 3:], wanted["b"], rtol=1e-12)
    whole = np.concatenate([wanted["a"], wanted["b"]], 1)
    np.testing.assert_allclose(run["total"].values, whole.mean(1), rtol=1e-12)
    assert run["a.rate"].attrs["units"] == "Hz"
    assert float(run["a.rate"][0, -1, 0]) == pytest.approx(1 / (1 + np.exp(-wanted["a"][0, 0])))
    assert run["time"].attrs["units"] == "ms" and float(run["time"][-1]) == 10.0
    assert run.attrs["identity"] == sim.identity and run.attrs["solver"] == "euler"


def test_an_input_with_a_time_axis_has_a_frame_a_step(spec: cs.Spec) -> None:
    sim = compiled(spec)
    push = np.random.default_rng(0).normal(size=(3, 20))
    run = sim.simulate({"push": push}, record="a.x[time = end]")
    np.testing.assert_allclose(run["a.x"].values, by_hand(sim, 20, push)["a"], rtol=1e-12)


def test_parameters_are_natural_and_settable(spec: cs.Spec) -> None:
    sim = compiled(spec)
    assert sim.parameters()["a.ω"] == pytest.approx(0.1)
    assert sim.parameters()["a.ζ"].shape == (3,)
    assert sim.raw_parameters()["a.ω"] == pytest.approx(np.log(0.1))
    sim.set_parameters({"a.ω": "50 Hz", "a.ζ": [0.1, 0.2, 0.3]})
    assert sim.parameters()["a.ω"] == pytest.approx(0.05)
    before = sim.parameters()
    other = sim.simulate(record="a.x[time = end]", parameters={"a.ω": "80 Hz"})
    own = sim.simulate(record="a.x[time = end]")
    assert not np.allclose(other["a.x"].values, own["a.x"].values)
    for name, array in sim.parameters().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (lambda sim: sim.set_parameters({"a.w": 1.0}), "CS301", "did you mean"),
        (lambda sim: sim.set_parameters({"a.ω": "50 mV"}), "CS401", "expected kHz"),
        (lambda sim: sim.set_parameters({"a.ζ": [1.0, 2.0]}), "CS501", "(3,)"),
        (lambda sim: sim.simulate(record="a.y"), "CS301", "a.x"),
        (lambda sim: sim.simulate({"pusch": 1.0}), "CS301", "push"),
        (lambda sim: sim.simulate({"push": "1 mV"}), "CS401", "mV/ms^2"),
        (lambda sim: sim.simulate({"push": np.zeros((2, 3, 4))}), "CS501", "trial and time"),
        (lambda sim: sim.simulate({"push": np.zeros((2, 7))}), "CS501", "7 frames"),
        (lambda sim: sim.simulate(duration="10.2 ms"), "CS916", "no whole number"),
        (lambda sim: sim.simulate(duration="10 mV"), "CS401", "expected ms"),
        (lambda sim: sim.value_and_grad("mean(totl)"), "CS301", "totl"),
        (lambda sim: sim.value_and_grad("mean(exp(total))"), "CS401", "pure number"),
    ],
)
def test_mistakes_are_named(spec: cs.Spec, change: object, code: str, says: str) -> None:
    with pytest.raises(cs.SpecError) as error:
        change(compiled(spec))  # type: ignore[operator]
    assert error.value.diagnostics[0].code == code
    assert says in str(error.value)


@pytest.mark.parametrize("gradient", ["auto", "ir"])
def test_gradients_against_differences(spec: cs.Spec, gradient: str) -> None:
    sim = compiled(spec, gradient=gradient)
    loss, inputs = (
        "mean((total[time = end]/(1 mV) - target)^2) + 0.1*mean(a.rate/(1 Hz))",
        {"push": [0.1, 0.2], "target": [0.3, 0.5]},
    )
    value, gradients = sim.value_and_grad(loss, inputs)
    raw = sim.raw_parameters()
    assert set(gradients) == set(sim.trainable) == {"a.ω", "a.ζ", "b.ω", "b.ζ", "forth.weight"}
    for name, gradient_ in gradients.items():
        for place in np.ndindex(raw[name].shape):
            ends = []
            for sign in (1, -1):
                moved = {name: raw[name].copy()}
                moved[name][place] += sign * 1e-6
                sim.set_raw_parameters(moved)
                ends.append(sim.value_and_grad(loss, inputs)[0])
            sim.set_raw_parameters(raw)
            assert gradient_[place] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=2e-6, abs=1e-10)
    assert np.isfinite(value)


def test_a_run_that_leaves_the_numbers_names_population_equation_and_step(spec: cs.Spec) -> None:
    sim = compiled(spec, dtype="float32", dt="40 ms", duration="8000 ms")
    with pytest.raises(cs.SpecError) as error:
        sim.simulate({"push": [0.0, 1.0]})
    (found,) = error.value.diagnostics
    assert found.code == "CS915"
    assert "population `a`" in found.message or "population `b`" in found.message
    assert "after step" in found.message and "of trial" in found.message
    assert found.span is not None and "x''" in OSCILLATORS.splitlines()[found.span.line - 1]


def test_an_adaptive_solver_agrees_with_short_steps(spec: cs.Spec) -> None:
    fine = compiled(spec, solver="rk4", dt="0.05 ms").simulate({"push": 0.2}, record="all.x[time = end]")
    free = compiled(spec, solver="dopri8", dt=None, rtol=1e-10, atol=1e-12)
    run = free.simulate({"push": 0.2}, record=["all.x[time = end]", "total", "b.pull"])
    np.testing.assert_allclose(run["all.x"].values, fine["all.x"].values, rtol=1e-7)
    assert run["total"].shape == (1, 100)


def test_no_step_leaves_the_initial_state(spec: cs.Spec) -> None:
    run = compiled(spec).simulate(duration="0 ms", record=["a.x", "total[time = end]"])
    assert run["a.x"].shape == (1, 0, 3)
    assert float(run["total"][0]) == 1.0


def test_what_is_kept_comes_back_and_only_into_the_same_circuit(spec: cs.Spec, tmp_path: Path) -> None:
    sim = compiled(spec)
    sim.set_parameters({"a.ω": "33 Hz"})
    cs.save(sim, tmp_path / "kept.safetensors")
    fresh = cs.restore(compiled(spec, seed=5, dtype="float32"), tmp_path / "kept.safetensors")
    for name, array in sim.parameters().items():
        np.testing.assert_allclose(fresh.parameters()[name], array, rtol=1e-15)
    documented = cs.compile(cs.parse(OSCILLATORS.replace("damped", "lightly damped")), "chain", dt="0.5 ms")
    cs.restore(documented, tmp_path / "kept.safetensors")
    with pytest.raises(cs.SpecError) as error:
        cs.restore(cs.compile(spec, "chain", {"n": 4}, dt="0.5 ms"), tmp_path / "kept.safetensors")
    assert error.value.diagnostics[0].code == "CS914"


def test_seeds_draw_other_weights_and_the_same_seed_the_same(spec: cs.Spec) -> None:
    weights = [compiled(spec, seed=seed).parameters()["forth.weight"] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.allclose(weights[0], weights[2])


def test_updates_in_steps_where_time_is_a_number() -> None:
    spec = cs.parse(
        """
neuron leaky { input u; state h = 0, k = 1; let next = 0.5*h + u; h <- next; k <- h; output h; output k }
circuit pair { input x[2]; population n[2] : leaky; connect x -> n.u { rule = one_to_one }; output y = n.h - n.k }
"""
    )
    sim = cs.compile(spec, "pair", dt=1, duration=3, dtype="float64")
    x = np.arange(6.0).reshape(1, 3, 2)
    run = sim.simulate({"x": x}, record=["n.h", "n.k", "y"])
    h = np.zeros(2)
    for step in range(3):
        before, h = h, 0.5 * h + x[0, step]
        np.testing.assert_array_equal(run["n.h"].values[0, step], h)
        np.testing.assert_array_equal(run["n.k"].values[0, step], before)
    np.testing.assert_array_equal(run["y"].values, run["n.h"].values - run["n.k"].values)


def test_a_size_that_only_data_tell_is_asked_for() -> None:
    text = "use vision\ncircuit eye { input image[_, _, _]; part look : conv2d(2); part head : dense(3); output y = head(look(image)) }\n"
    with pytest.raises(cs.SpecError) as error:
        cs.compile(cs.parse(text), "eye", dt=1, duration=0)
    assert "shapes=" in str(error.value)
    sim = cs.compile(cs.parse(text), "eye", dt=1, duration=0, shapes={"image": (1, 4, 5)})
    assert sim.parameters()["look.kernel"].shape == (2, 1, 3, 3)
    assert sim.simulate({"image": np.ones((7, 1, 4, 5))})["y"].shape[0] == 7


def test_a_stimulus_takes_the_place_of_an_input_and_may_read_it(spec: cs.Spec) -> None:
    from cortexspec.expressions.parse import parse_expression
    from cortexspec.runtime.simulation import Simulation

    sim = compiled(spec)
    pulse = {"push": parse_expression("where(t < 2 ms, 2*push, 0 mV/ms^2)")}
    pulsed = Simulation(sim.model, sim.backend, sim.settings, stimuli=pulse)
    frames = np.zeros((2, 20))
    frames[:, :4] = [[0.2], [0.6]]
    wanted = sim.simulate({"push": frames}, record="a.x")
    np.testing.assert_allclose(pulsed.simulate({"push": [0.1, 0.3]}, record="a.x")["a.x"], wanted["a.x"], rtol=1e-12)


def test_a_module_is_what_simulate_runs(spec: cs.Spec) -> None:
    sim = compiled(spec)
    assert sim.module.functions["rollout"].output_names == ("total[time = end]",)
    assert "a.ω" in sim.program
    sim.set_parameters({"a.ω": "70 Hz"})
    assert sim.parameters()["a.ω"] == pytest.approx(0.07)


def test_the_spectrum_of_a_damped_oscillator(spec: cs.Spec) -> None:
    sim = cs.compile(spec, "chain", {"n": 1}, dtype="float64", dt="1 ms")
    found = sim.eigenvalues()
    assert found.attrs["units"] == "Hz" and found.shape == (6,)
    wanted = 100 * (-0.1 + 1j * np.sqrt(1 - 0.01))
    assert np.abs(found.values - wanted).min() < 1e-9
    (rest,) = sim.fixed_points({"push": "0.05 mV/ms^2"}, count=4)
    assert rest.stable and rest.state["a.x"].ravel()[0] == pytest.approx(0.05 / 0.1**2)
    with pytest.raises(cs.SpecError, match="did you mean"):
        sim.jacobian(at={"a.y": 1.0})


def test_an_experiment_brings_its_step_its_duration_and_its_variant() -> None:
    text = (
        OSCILLATORS
        + """
experiment short of chain(n = 2) {
  simulate { duration = 4 ms; dt = 0.2 ms; solver = rk4 }
  stimulus push = 0.1 mV/ms^2
  measure height = mean(a.x)
  variant alone { remove b }
}
"""
    )
    sim = cs.compile(cs.parse(text), experiment="short", dtype="float64")
    assert (sim.settings.solver, sim.steps(), sim.states) == ("rk4", 20, ("a.x", "a.x'", "b.x", "b.x'"))
    pushed = cs.compile(cs.parse(text), "chain", {"n": 2}, dtype="float64", dt="0.2 ms", duration="4 ms", solver="rk4")
    wanted = pushed.simulate({"push": 0.1}, record="a.x")["a.x"]
    np.testing.assert_allclose(sim.simulate(record="a.x")["a.x"], wanted, rtol=1e-13)
    alone = cs.compile(cs.parse(text), experiment="short", variant="alone", dtype="float64")
    assert alone.states == ("a.x", "a.x'")


def test_what_arrives_between_regions_can_be_recorded_beside_merged_axes() -> None:
    spec = Path(__file__).parents[2] / "specs" / "cmc"
    small = {"regions": 2, "channels": 4, "hidden": 8}
    options = {"dtype": "float64", "dt": "3.65 ms", "duration": "18.25 ms", "shapes": {"image": (1, 16, 16)}}
    image = np.random.default_rng(0).normal(size=(2, 1, 16, 16))
    runs = [
        cs.compile(spec, "visual_hierarchy", small, pipeline=pipeline, **options).simulate(  # type: ignore[arg-type]
            {"image": image}, record=["between.arriving", "V.cells.v"]
        )
        for pipeline in (None, [])
    ]
    for name in runs[0].data_vars:
        np.testing.assert_allclose(runs[0][name], runs[1][name], rtol=1e-11, atol=1e-15)
