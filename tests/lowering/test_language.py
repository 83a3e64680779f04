"""What the language says, run: small circuits from text against the numbers that their sentences mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cortexspec as cs

LEAK = "neuron leak { param τ = 10 ms; input u : mV; state v = 0 mV; τ*v' = u - v; output v }\n"


def compiled(text: str, circuit: str = "net", **options: Any) -> cs.Simulation:
    chosen = {"dt": "1 ms", "duration": "2 ms", "dtype": "float64", **options}
    return cs.compile(cs.parse(text), circuit, **chosen)


def first(run: Any, name: str) -> np.ndarray:
    """The first row of the first trial."""
    return run[name].values[0, 0]


def test_tables_over_a_group_are_read_by_member_and_a_group_is_its_members_end_to_end() -> None:
    sim = compiled(
        LEAK
        + """
circuit net {
  population a[3], b[2] : leak
  group cells = [a, b]
  let J[cells, cells] = [[1, 2], [3, 4]]
  let ν[cells] = [5 mV, 7 mV]
  let e[cells] = J @ ν
  for x in cells, y in cells { connect y -> x { weight = J[x, y] } }
  start a.v = 1 mV
  start b.v = [2, 3] mV
  attribute a.φ : rad = 2*π*index/3
  output drive = e[a]
  output second = mean(cells.v)
  output turned = sum(a.φ*a.v)
}
"""
    )
    run = sim.simulate(duration="0 ms", record=["drive[time = end]", "second[time = end]", "turned[time = end]"])
    assert float(run["drive"][0]) == 5 + 14
    assert float(run["second"][0]) == (3 + 2 + 3) / 5
    assert float(run["turned"][0]) == pytest.approx(2 * np.pi)
    run = sim.simulate(record=["a.u", "b.u", "cells.v"])
    np.testing.assert_array_equal(first(run, "a.u"), [1 * 3 + 2 * 5] * 3)
    np.testing.assert_array_equal(first(run, "b.u"), [3 * 3 + 4 * 5] * 2)
    assert run["cells.v"].dims == ("trial", "time", "cells")


def test_weights_are_target_by_source_and_self_connections_can_be_left_out() -> None:
    text = (
        LEAK
        + """
circuit net {
  population a[3] : leak
  let W[a, a] = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
  start a.v = [1, 10, 100] mV
  connect a -> a { RULE; weight = W }
}
"""
    )
    whole = compiled(text.replace("RULE; ", "")).simulate(record="a.u")
    np.testing.assert_array_equal(first(whole, "a.u"), [321, 654, 987])
    rest = compiled(text.replace("RULE", "rule = all_to_all(autapses = false)")).simulate(record="a.u")
    np.testing.assert_array_equal(first(rest, "a.u"), [320, 604, 87])


def test_inputs_add_up_and_a_default_holds_only_where_nothing_is_connected() -> None:
    sim = compiled(
        """
neuron sum { input a = 5, b = 1; state v = 0; v <- a + 10*b; output v }
circuit net {
  input x[2]
  population p[2], q[2] : sum
  connect x -> p.b { rule = one_to_one }
  connect twice: x -> p.b { rule = one_to_one; weight = 2 }
}
""",
        dt=1,
        duration=1,
    )
    run = sim.simulate({"x": [1.0, 2.0]}, record=["p.v", "q.v"])
    np.testing.assert_array_equal(first(run, "p.v"), [35, 65])
    np.testing.assert_array_equal(first(run, "q.v"), [15, 15])


def test_outputs_that_read_inputs_are_ordered_within_a_step() -> None:
    sim = compiled(
        """
neuron gate { input r, n; state h = 2; output reset = r*h; h <- n; output h }
circuit net {
  input x
  population c : gate
  connect x -> c.r
  connect c.reset -> c.n { weight = 10 }
}
""",
        dt=1,
        duration=2,
    )
    run = sim.simulate({"x": [[3.0, 5.0]]}, record=["c.h", "c.reset"])
    np.testing.assert_array_equal(run["c.h"].values[0, :, 0], [60, 3000])
    np.testing.assert_array_equal(run["c.reset"].values[0, :, 0], [6, 300])


def test_updates_read_the_state_before_the_step_and_lets_the_values_it_used() -> None:
    sim = compiled(
        """
neuron mixed {
  state v = 1 mV, m = 0 mV
  v' = v/(2 ms)
  let seen = 2*v
  m <- v
  output v
  output m
}
circuit net { population p : mixed }
"""
    )
    run = sim.simulate(record=["p.v", "p.m", "p.seen"])
    np.testing.assert_array_equal(run["p.v"].values.ravel(), [1.5, 2.25])
    np.testing.assert_array_equal(run["p.m"].values.ravel(), [1.0, 1.5])
    np.testing.assert_array_equal(run["p.seen"].values.ravel(), [2.0, 3.0])


def test_parameters_by_extent() -> None:
    text = """
neuron one { param a = 2 trainable; param b = 3 per neuron trainable; param c[4] = 1 per neuron; state v = 0; v <- a + b + sum(c) }
circuit part { population p[3] : one }
circuit net { part V[2] : part; param W[V, V] ~ normal(0, 1) trainable }
"""
    shapes = {name: array.shape for name, array in compiled(text, dt=1, duration=1).parameters().items()}
    assert shapes == {"V.p.a": (2,), "V.p.b": (2, 3), "V.p.c": (2, 3, 4), "W": (2, 2)}


def test_draws_are_keyed_by_trial_and_step_whatever_the_batch() -> None:
    text = """
neuron walk { state x ~ uniform(-1, 1); let kick = normal(0, 1); x <- x + kick; output x }
circuit net { population p[3] : walk }
"""
    sim = compiled(text, dt=1, duration=5)
    together = sim.simulate(record=["p.x", "p.kick"], trials=4)
    alone = sim.simulate(record=["p.x", "p.kick"], trials=1, first_trial=2)
    np.testing.assert_array_equal(together["p.x"].values[2], alone["p.x"].values[0])
    assert len(np.unique(together["p.kick"].values)) == 4 * 5 * 3
    np.testing.assert_allclose(np.diff(together["p.x"].values, axis=1), together["p.kick"].values[:, 1:], rtol=1e-12)
    longer = sim.simulate(record="p.x", trials=4, duration=9)
    np.testing.assert_array_equal(longer["p.x"].values[:, :5], together["p.x"].values)
    other = sim.simulate(record="p.x", trials=4, seed=1)
    assert not np.isclose(other["p.x"].values, together["p.x"].values).any()


def test_removing_a_draw_moves_no_other() -> None:
    text = "neuron n { param a ~ normal(0, 1) per neuron; state v = 0; v <- a }\ncircuit net { population p[3] : n; population q[2] : n }\n"
    both, one = (compiled(t, dt=1, duration=1) for t in (text, text.replace("population p[3] : n; ", "")))
    np.testing.assert_array_equal(both.parameters()["q.a"], one.parameters()["q.a"])


def test_equations_of_any_order_with_any_coefficient() -> None:
    sim = compiled(
        """
neuron beam {
  param m = 2 mV^-1, k = 3 ms
  state x = 1 mV, x' = 2 mV/ms, x'' = 3 mV/ms^2
  m*(k*x''' - x'') = 1 1/ms^2 - m*x'/k
}
circuit net { population p : beam }
""".replace("1 1/ms^2", "1 ms^-2"),
        duration="1 ms",
    )
    run = sim.simulate(record=["p.x", "p.x'", "p.x''"])
    third = ((1 - 2 * 2 / 3) / 2 + 3) / 3
    assert [float(run[name].values[0, 0, 0]) for name in ("p.x", "p.x'", "p.x''")] == pytest.approx([3, 5, 3 + third])


def test_a_penalty_of_the_circuit_reads_parameters() -> None:
    sim = compiled(
        LEAK + "circuit net { population p : leak; connect p -> p; param w = 3 trainable; penalty small = w^2 }\n"
    )
    value, gradients = sim.value_and_grad("small + mean(p.v)/(1 mV)")
    assert (value, float(gradients["w"])) == (9, 6)
