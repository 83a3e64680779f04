"""The gather of expressive neurons: sources drawn with replacement from a group, masks of dropout, a layer that reads this step."""

from typing import Any

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.diagnostics import SpecError
from cortexspec.interpreter import run
from cortexspec.runtime.compile import lowered
from cortexspec.runtime.registry import load_backend
from cortexspec.testing.cases import Case
from cortexspec.testing.parity import check
from cortexspec.testing.settings import DEFAULTS

TEXT = """
neuron tree(d_tree: int = 3) {
  param W[d_tree]  per neuron trainable ~ fan_in()
  input s[d_tree]
  state m = 0, a = 0
  let memory = 0.7*m + tanh(dot(W, s))
  m <- memory
  a <- relu(memory)
  output a
  output y = 2*m
}

circuit net(n: int = 8, K: int = 5, ρ: real = 0.3, drop: real = 0) {
  input x[4]
  population hidden[n] : tree
  population last[2] : tree(d_tree = 4)
  group pool = [x, hidden.a]
  connect wires: pool -> hidden.s {
    rule = fixed_indegree(K, multapses = true, chance = [1 - ρ, ρ])
    weight ~ uniform(-1/sqrt(K), 1/sqrt(K)) trainable
    dropout = drop
  }
  connect up: hidden.a -> last.s {
    rule = fixed_indegree(K, multapses = true)
    weight ~ normal(0, 1) trainable
    read = new
  }
  output y = last.y
}
"""


def compiled(text: str = TEXT, **arguments: Any) -> cs.Simulation:
    return cs.compile(cs.parse(text), "net", arguments, dt=1, dtype="float64", streams=["x"], seed=3)


def code_of(text: str, **arguments: Any) -> str:
    with pytest.raises(SpecError) as told:
        compiled(text, **arguments)
    return told.value.diagnostics[0].code


# Drawn sources


def test_each_branch_of_each_neuron_has_its_own_sources_and_weights() -> None:
    simulation = compiled()
    pre, post = (simulation.buffers()[f"wires.{side}"] for side in ("pre", "post"))
    assert np.array_equal(np.bincount(post), np.full(8 * 3, 5))
    assert pre.min() >= 0 and pre.max() < 4 + 8
    assert simulation.parameters()["wires.weight"].shape == (8 * 3 * 5,)


@pytest.mark.parametrize("ρ", [0.0, 0.25, 0.8, 1.0])
def test_a_chance_is_the_share_of_a_member(ρ: float) -> None:
    pre = compiled(n=200, K=20, ρ=ρ).buffers()["wires.pre"]
    share = np.mean(pre >= 4)
    assert abs(share - ρ) < 4 * (ρ * (1 - ρ) / len(pre)) ** 0.5 + 1e-12
    for low, high in ((0, 4), (4, 204)):
        counts = np.bincount(pre, minlength=204)[low:high]
        wanted = len(pre) * (1 - ρ if low == 0 else ρ) / (high - low)
        assert np.all(abs(counts - wanted) < 5 * wanted**0.5 + 1e-12)


def test_shares_hold_without_autapses() -> None:
    group = TEXT.replace("[x, hidden.a]", "[last.a, hidden.a]").replace("connect up", "connect x -> last.s; connect up")
    plain = compiled(group, n=30, K=20, ρ=0.5).buffers()
    without = group.replace("multapses = true, c", "multapses = true, autapses = false, c")
    alone = compiled(without, n=30, K=20, ρ=0.5).buffers()
    own = (plain["wires.pre"] - 2) == plain["wires.post"] // 3
    assert own.any() and not ((alone["wires.pre"] - 2) == alone["wires.post"] // 3).any()
    assert abs(np.mean(alone["wires.pre"] >= 2) - 0.5) < 0.05


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("[1 - ρ, ρ]", "[0.5, 0.4]", "CS512"),
        ("[1 - ρ, ρ]", "[1.5, -0.5]", "CS512"),
        ("[1 - ρ, ρ]", "[1]", "CS501"),
        ("[1 - ρ, ρ]", "[0.5, 0.25, 0.25]", "CS501"),
        ("multapses = true, chance", "chance", "CS700"),
        ("fixed_indegree(K, multapses = true, chance = [1 - ρ, ρ])", "bernoulli(0.5, chance = [1 - ρ, ρ])", "CS700"),
        ("dropout = drop", "dropout = 1", "CS501"),
        ("dropout = drop", "dropout = -0.5", "CS501"),
    ],
)
def test_what_cannot_be_wired(old: str, new: str, code: str) -> None:
    assert old in TEXT
    assert code_of(TEXT.replace(old, new)) == code


def test_many_pairs_are_drawn_target_by_target() -> None:
    simulation = compiled(n=20_000, K=2, ρ=0.5)  # 1.2e9 pairs
    assert simulation.sizes["wires.edges"] == 20_000 * 3 * 2


# A layer that reads this step


def test_read_new_is_this_steps_activity() -> None:
    x = np.random.default_rng(0).normal(size=(2, 6, 4))
    simulation = compiled()
    found = simulation.simulate({"x": x}, record=["hidden.a", "up.arriving"])
    weight, buffers = simulation.parameters()["up.weight"], simulation.buffers()
    matrix = np.zeros((8, 8))
    np.add.at(matrix, (buffers["up.post"], buffers["up.pre"]), weight)
    wanted = found["hidden.a"].values @ matrix.T
    np.testing.assert_allclose(found["up.arriving"].values.reshape(2, 6, 8), wanted, atol=1e-14)
    before = compiled(TEXT.replace("    read = new\n", "")).simulate({"x": x}, record=["up.arriving"])
    np.testing.assert_allclose(before["up.arriving"].values.reshape(2, 6, 8)[:, 1:], wanted[:, :-1], atol=1e-14)


def test_read_new_of_an_output_reads_the_new_states_and_what_arrived() -> None:
    text = TEXT.replace("output y = 2*m", "output y = 2*m + sum(s)").replace("up: hidden.a", "up: hidden.y")
    x = np.random.default_rng(0).normal(size=(1, 5, 4))
    simulation = compiled(text.replace("fixed_indegree(K, multapses = true)\n", "fixed_indegree(1)\n"))
    found = simulation.simulate({"x": x}, record=["hidden.m", "hidden.s", "up.arriving"])
    shown = 2 * found["hidden.m"].values + found["hidden.s"].values.sum(-1)
    pre = simulation.buffers()["up.pre"][np.argsort(simulation.buffers()["up.post"])]
    weight = simulation.parameters()["up.weight"][np.argsort(simulation.buffers()["up.post"])]
    np.testing.assert_allclose(found["up.arriving"].values.reshape(5, 8), shown[0][:, pre] * weight, atol=1e-14)


def test_read_new_of_a_continuous_population_is_told() -> None:
    text = TEXT.replace("m <- memory\n", "m' = memory - m\n")
    assert code_of(text) == "CS700"


# Parity, with dropout


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_values_and_gradients_agree(backend: str) -> None:
    pytest.importorskip("numpy" if backend == "interpreter" else backend)
    case = Case(
        "gather", TEXT, "net", solver="steps", steps=12, gradient_steps=5, trials=2, streams=("x",), training=True,
        arguments={"drop": 0.4},
    )  # fmt: skip
    found = list(check(load_backend(backend), case, DEFAULTS[0]))
    assert found and all(row.verdict == "holds" for row in found), found


# Dropout of a projection

MASKED = """
neuron shown {
  input u = 0
  state v = 0
  v <- u
  output v
}

circuit net(drop: real = 0.25) {
  input x[6]
  population p[6] : shown
  connect wires: x -> p { rule = one_to_one; dropout = drop }
  output y = p.v
}
"""


def arriving(drop: float, training: bool = True, seed: int = 3) -> Any:
    """[neuron, trial] of what arrives where every source gives 1, and the names of what the step reads."""
    model = compiled(MASKED, drop=drop).model
    module = lowered(model, training=training)
    update = module.function("update")
    given = {"x": np.ones((6, 400)), "p.v": np.zeros((6, 400)), "trial": np.arange(400), "seed": np.array(seed)}
    read = {value.name for value in update.inputs}
    inputs = {name: array for name, array in given.items() if name in read}
    return run(update, inputs, {**module.sizes, "trial": 400}, module.layout)["wires.arriving"], read


def test_a_mask_is_one_a_trial_and_the_same_at_every_step() -> None:
    mask, read = arriving(0.25)
    assert "trial" in read and "n" not in read  # no number of the step: nothing that a draw could follow
    assert set(np.unique(mask)) == {0, 1 / 0.75}
    assert abs(np.mean(mask == 0) - 0.25) < 4 * (0.25 * 0.75 / mask.size) ** 0.5
    assert len({tuple(column) for column in mask.T}) > 20 and len({tuple(row) for row in mask}) == 6
    assert not np.array_equal(mask, arriving(0.25, seed=4)[0])


@pytest.mark.parametrize(("drop", "training"), [(0.25, False), (0.0, True)])
def test_without_training_or_rate_there_is_no_mask(drop: float, training: bool) -> None:
    ones, read = arriving(drop, training)
    assert (ones == 1).all() and not read & {"seed", "trial"}
