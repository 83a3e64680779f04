"""The neurons against a transcription of the papers' equations in NumPy, and their gradients against central differences of it."""

from typing import Any

import numpy as np
import pytest

import cortexspec as cs

Array = np.ndarray[Any, Any]
Parameters = dict[str, Array]

ROUTED = """
use elm

circuit one(d_in: int = 6, n: int = 2, d_tree: int = 3, d_brch: int = 4) {{
  input x[d_in]
  population p[n] : {neuron}
  connect x -> p.x {{ rule = windows(interlaced = true) }}
  output y = p.y
}}
"""
NETWORK = """
use elm

circuit net(n_in: int = 5, n_out: int = 3, N: int = 6, d_m: int = 3, d_tree: int = 4, d_brch: int = 5, ρ: real = 0.4) {{
  input x[n_in]
  population hidden[N] : elm(d_m = d_m, d_tree = d_tree{settings})
  population last[n_out] : elm_readout(d_tree = d_tree)
  part map : dense(n_out)
  group pool = [x, hidden.a]
  connect wires: pool -> hidden.s {{
    rule = fixed_indegree(d_brch, multapses = true, chance = [1 - ρ, ρ])
    weight ~ uniform(-1/sqrt(d_brch), 1/sqrt(d_brch)) trainable
  }}
  connect up: hidden.a -> last.s {{
    rule = fixed_indegree(d_brch, multapses = true)
    weight ~ uniform(-1/sqrt(d_brch), 1/sqrt(d_brch)) trainable
    read = new
  }}
  output logits = map(last.y)
}}
"""


def compiled(text: str, **options: Any) -> cs.Simulation:
    return cs.compile(cs.parse(text), dt=1, dtype="float64", streams=["x"], seed=4, **options)


def inputs_of(channels: int, steps: int = 12) -> Array:
    return np.random.default_rng(1).normal(size=(2, steps, channels))


# The equations, one neuron, trial and step at a time.


def scaled_tanh(u: Array) -> Array:
    return 1.7159 * np.tanh(2 * u / 3)


def silu(q: Array) -> Array:
    return q / (1 + np.exp(-q))


def relu(q: Array) -> Array:
    return np.maximum(q, 0)


def squared(q: Array) -> Array:
    return relu(q) ** 2


def time_constants(low: float, high: float, count: int) -> Array:
    return np.logspace(np.log10(low), np.log10(high), count) if count > 1 else np.array([low])


def routed(x: Array, branches: int, synapses: int) -> Array:
    """[branch, synapse] of one step."""
    d_in = len(x)
    stride = int(np.ceil(d_in / branches))
    order = [(j % 2) * (d_in // 2) + j // 2 for j in range(d_in)]
    arriving = np.zeros((branches, synapses))
    for i in range(branches):
        for k in range(synapses):
            j = i * stride + k
            arriving[i, k] = x[order[j]] if j < d_in else 0
    return arriving


def first_version(p: Parameters, x: Array, activation: Any = relu) -> Array:
    τ_m = time_constants(1 + 1e-6, 1000 - 1e-6, p["W_2"].shape[0])
    κ_m, κ_s = np.exp(-1 / τ_m), np.exp(-1 / 5)
    s, m, shown = 0, np.zeros(len(τ_m)), []
    for x_t in x:
        s = κ_s * s + relu(p["w"]) * routed(x_t, *p["w"].shape)
        q = np.concatenate([s.sum(1), κ_m * m])
        m = κ_m * m + 5 * (1 - κ_m) * scaled_tanh(p["W_2"] @ activation(p["W_1"] @ q + p["c_1"]) + p["c_2"])
        shown.append(p["W_y"] @ m + p["b_y"])
    return np.array(shown)


def second_version(p: Parameters, x: Array, activation: Any = relu) -> Array:
    τ_m = time_constants(1 + 1e-6, 1000 - 1e-6, p["W_2"].shape[0])
    κ_m, κ_λ, κ_b = np.exp(-1 / τ_m), np.exp(-5 / τ_m), np.exp(-1 / 5)
    b, m, shown = 0, np.zeros(len(τ_m)), []
    for x_t in x:
        b = κ_b * b + (relu(p["w"]) * routed(x_t, *p["w"].shape)).sum(1)
        q = np.concatenate([b, κ_m * m])
        m = κ_m * m + (1 - κ_λ) * scaled_tanh(p["W_2"] @ activation(p["W_1"] @ q + p["c_1"]) + p["c_2"])
        shown.append(p["W_y"] @ m + p["b_y"])
    return np.array(shown)


def of_neuronio(p: Parameters, x: Array) -> Array:
    τ_m = time_constants(1, 150, p["W_2"].shape[0])
    κ_m, κ_λ, κ_b = np.exp(-1 / τ_m), np.exp(-5 / τ_m), np.exp(-1 / 5)
    b, m, shown = 0, np.zeros(len(τ_m)), []
    for x_t in x:
        b = κ_b * b + (relu(p["w"]) * routed(x_t, *p["w"].shape)).sum(1)
        q = np.concatenate([b, κ_m * m])
        m = κ_m * m + (1 - κ_λ) * scaled_tanh(p["W_2"] @ squared(p["W_1"] @ q + p["c_1"]) + p["c_2"])
        shown.append(p["W_y"] @ m + p["b_out"])
    return np.array(shown)


ONE = {
    "elm_v1(d_tree = d_tree, d_brch = d_brch, d_m = 3)": first_version,
    "elm_v2(d_tree = d_tree, d_brch = d_brch, d_m = 3, d_o = 2)": second_version,
    "elm_v2(d_tree = d_tree, d_brch = d_brch, d_m = 3, smooth = true)": lambda p, x: second_version(p, x, silu),
    "elm_neuronio(d_tree = d_tree, d_brch = d_brch, d_m = 3)": of_neuronio,
}


def of_one(run: Any, parameters: Parameters, x: Array) -> Array:
    """[trial, time, neuron, output]."""
    own = {name.removeprefix("p."): array for name, array in parameters.items()}
    each = ("w", "W_1", "c_1", "W_2", "c_2", "W_y", "b_y", "b_out")
    neurons = [{name: own[name][i] for name in each if name in own} for i in range(2)]
    return np.array([np.stack([run(p, trial) for p in neurons], 1) for trial in x])


def of_network(parameters: Parameters, buffers: Parameters, x: Array, activation: Any = squared) -> tuple[Array, Array]:
    """Activity [trial, time, neuron] and logits [trial, time, output] of a layer, its readout and the dense map."""
    p = parameters
    sources = {}
    for name, rows in (("wires", 6 * 4), ("up", 3 * 4)):  # each branch's sources and weights
        post, pre = buffers[f"{name}.post"], buffers[f"{name}.pre"]
        sources[name] = [(pre[post == row], p[f"{name}.weight"][post == row]) for row in range(rows)]
    τ = time_constants(0.1, 100, 3)
    κ, κ_λ, κ_r = np.exp(-1 / τ), np.exp(-5 / τ), np.exp(-1 / 5)
    activity, logits = [], []
    for trial in x:
        m, r, a, m_last = np.zeros((6, 3)), np.zeros(6), np.zeros(6), np.zeros((3, 3))
        for x_t in trial:
            v = np.concatenate([x_t, a])
            s = 10 * np.array([w @ v[i] for i, w in sources["wires"]]).reshape(6, 4)
            a = np.zeros(6)
            for n in range(6):
                q = np.concatenate([s[n], κ * m[n]])
                inner = activation(p["hidden.W_1"][n] @ q + p["hidden.c_1"][n])
                m[n] = κ * m[n] + (1 - κ_λ) * scaled_tanh(p["hidden.W_2"][n] @ inner + p["hidden.c_2"][n])
                z = p["hidden.W_y"][n] @ m[n]
                r[n] = κ_r * r[n] + (1 - κ_r) * z
                a[n] = max(z - r[n] + p["hidden.b_out"][n], 0)
            s = 10 * np.array([w @ a[i] for i, w in sources["up"]]).reshape(3, 4)
            y = np.zeros(3)
            for n in range(3):
                q = np.concatenate([s[n], κ * m_last[n]])
                m_last[n] = κ * m_last[n] + (1 - κ_λ) * scaled_tanh(p["last.W"][n] @ q + p["last.c"][n])
                y[n] = p["last.W_y"][n] @ m_last[n] + p["last.b_out"][n]
            activity.append(a)
            logits.append(p["map.kernel"] @ y + p["map.bias"])
    shape = (*x.shape[:2], -1)
    return np.array(activity).reshape(shape), np.array(logits).reshape(shape)


def largest_difference(found: Array, wanted: Array) -> float:
    assert found.shape == wanted.shape and np.abs(wanted).max() > 0
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


@pytest.mark.parametrize("neuron", ONE)
def test_one_neuron_is_the_papers(neuron: str) -> None:
    simulation, x = compiled(ROUTED.format(neuron=neuron)), inputs_of(6)
    found = simulation.simulate({"x": x}, record=["p.y"])["p.y"].values
    assert largest_difference(found, of_one(ONE[neuron], simulation.parameters(), x)) < 1e-12


@pytest.mark.parametrize(
    ("settings", "activation"), [("", squared), (", smooth = true", silu), (", squared = false", relu)]
)
def test_the_network_is_the_papers(settings: str, activation: Any) -> None:
    simulation, x = compiled(NETWORK.format(settings=settings)), inputs_of(5)
    simulation.set_parameters({"hidden.b_out": np.linspace(-0.1, 0.2, 6)})
    found = simulation.simulate({"x": x}, record=["hidden.a", "logits"])
    activity, logits = of_network(simulation.parameters(), simulation.buffers(), x, activation)
    assert largest_difference(found["hidden.a"].values, activity) < 1e-12
    assert largest_difference(found["logits"].values, logits) < 1e-12


def test_one_time_constant_for_all_synapses_makes_one_trace_a_branch() -> None:
    """v1 with its rule for the memory apart: the branch trace of v2 is the sum of v1's."""
    names = ("elm_v1(d_tree = d_tree, d_brch = d_brch, d_m = 3)", "elm_v2(d_tree = d_tree, d_brch = d_brch, d_m = 3)")
    x = inputs_of(6)
    first, second = (
        compiled(ROUTED.format(neuron=name)).simulate({"x": x}, record=[trace])
        for name, trace in zip(names, ("p.s", "p.b"), strict=True)
    )
    np.testing.assert_allclose(first["p.s"].values.sum(-1), second["p.b"].values, atol=1e-13)


@pytest.mark.parametrize("neuron", [*ONE][:1] + [*ONE][3:])
def test_gradients_of_one_neuron_are_differences_of_the_papers(neuron: str) -> None:
    simulation, x = compiled(ROUTED.format(neuron=neuron)), inputs_of(6, 5)
    _, found = simulation.value_and_grad("mean(p.y^2)", {"x": x})
    p = simulation.parameters()
    assert set(found) >= {f"p.{name}" for name in ("w", "W_1", "c_1", "W_2", "c_2", "W_y")}
    _agree(found, p, lambda changed: float(np.mean(of_one(ONE[neuron], changed, x) ** 2)))


def test_gradients_of_the_network_are_differences_of_the_papers() -> None:
    simulation, x = compiled(NETWORK.format(settings="")), inputs_of(5, 4)
    simulation.set_parameters({"hidden.b_out": np.linspace(0.05, 0.2, 6)})
    _, found = simulation.value_and_grad("mean(logits^2)", {"x": x})
    p, buffers = simulation.parameters(), simulation.buffers()
    _agree(found, p, lambda changed: float(np.mean(of_network(changed, buffers, x)[1] ** 2)))


def _agree(found: Parameters, p: Parameters, loss: Any) -> None:
    """Each gradient along a drawn direction."""
    draw, h = np.random.default_rng(7), 1e-5
    for name, gradient in found.items():
        way = draw.normal(size=gradient.shape)
        ends = [loss({**p, name: p[name] + sign * h * way}) for sign in (1, -1)]
        wanted = (ends[0] - ends[1]) / (2 * h)
        assert np.sum(gradient * way) == pytest.approx(wanted, rel=1e-5, abs=1e-8), name


def test_memory_time_constants_can_be_trained_between_their_bounds() -> None:
    text = ROUTED.format(neuron="elm_neuronio(d_tree = d_tree, d_brch = d_brch, d_m = 3)")
    text = text.replace("  output y", "  p.τ_m trainable\n  output y")
    simulation, x = compiled(text), inputs_of(6, 5)
    _, found = simulation.value_and_grad("mean(p.y^2)", {"x": x}, wrt=["p.τ_m"])
    assert np.abs(found["p.τ_m"]).min() > 0  # the ends are inside the bounds, so that no unit stands still
    raw = simulation.raw_parameters()["p.τ_m"]
    simulation.set_raw_parameters({"p.τ_m": raw - 100})
    np.testing.assert_allclose(simulation.parameters()["p.τ_m"], 0.1)
