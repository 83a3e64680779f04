"""What is trained in a circuit, and arguments that spend a budget of it."""

from typing import Any

import pytest

from cortexspec.analysis.count import Counts, count, described
from cortexspec.analysis.elaborate import check, elaborate
from cortexspec.diagnostics import Diagnostic
from cortexspec.language.parse import parse_spec

TEXT = """
neuron unit(size: int) {
  param w[size]  per neuron trainable ~ fan_in()
  param τ = 3  trainable
  input u
  state x = 0
  x <- tanh(sum(w)*u/τ)
  output x
}

circuit net(N: int, size: int, K: int, half: int = 2*N) {
  input s[4]
  population a[N] : unit(size = size^2)
  population b[half] : unit(size = 1)
  group all = [s, a.x]
  part head : dense(3)
  connect all -> a { rule = fixed_indegree(K, multapses = true); weight ~ normal(0, 1) trainable }
  connect a -> b { rule = fixed_outdegree(2); weight ~ normal(0, 1) trainable }
  connect b -> a { rule = fixed_total(7, multapses = true); weight ~ normal(0, 1) }
  output y = head(b.x)
}

experiment run of net(ARGUMENTS) {
  simulate { duration = 10; dt = 1 }
  vary { size = [1, 3] }
}
"""


def total(N: int, size: int, K: int) -> int:
    """Own parameters, a `τ` for each population, connections, the dense map."""
    return N * size**2 + 1 + 2 * N + 1 + N * K + 2 * N + 3 * 2 * N + 3


def sizes(arguments: str, **more: Any) -> tuple[Any, tuple[Diagnostic, ...]]:
    spec, mistakes = parse_spec(TEXT.replace("ARGUMENTS", arguments))
    assert spec is not None and not mistakes
    return elaborate(spec, None, more, "run")


def counted(arguments: str, **more: Any) -> tuple[dict[str, int], Counts]:
    model, found = sizes(arguments, **more)
    assert model is not None, found
    return dict(model.sizes), count(model)


def code_of(arguments: str) -> str:
    model, found = sizes(arguments)
    assert model is None
    return found[0].code


def test_a_count_is_that_of_the_arrays() -> None:
    import numpy as np

    import cortexspec as cs

    simulation = cs.compile(cs.parse(TEXT.replace("ARGUMENTS", "N = 5, size = 3, K = 4")), experiment="run")
    arrays = simulation.parameters()
    found = count(simulation.model)
    assert found.total == sum(np.size(arrays[name]) for name in simulation.trainable) == total(5, 3, 4)
    (a, b) = found.populations
    assert (a.neurons, a.own, a.weights) == (5, 46, 20) and (b.neurons, b.own, b.weights) == (10, 11, 10)
    assert described(simulation.model)[0] == "a: N = 5, k_e = 9.20, k_c = 4, in all 66"
    assert described(simulation.model)[-1] == f"P = {total(5, 3, 4):,}"


@pytest.mark.parametrize("budget", [60, 1000, 123_456, 3_500_000])
def test_each_argument_can_spend_a_budget(budget: int) -> None:
    for name, others in (("N", {"size": 3, "K": 4}), ("size", {"N": 2, "K": 4}), ("K", {"N": 2, "size": 3})):
        given = ", ".join(f"{key} = {value}" for key, value in others.items())
        found, spent = counted(f"{name} = budget({budget}), {given}")
        value = found[name]
        assert spent.total == total(**{**others, name: value}) <= budget < total(**{**others, name: value + 1})


def test_a_sweep_along_a_budget() -> None:
    found = [counted("N = budget(1e4), size = 1, K = 4", size=size) for size in (1, 3, 9)]
    assert [one["N"] for one, _ in found] == sorted((one["N"] for one, _ in found), reverse=True)
    assert all(spent.total <= 10_000 < spent.total + 12 + 2 * 81 for _, spent in found)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("N = budget(20), size = 3, K = 4", "CS513"),
        ("N = 3, size = 1, K = 2, half = budget(1000)", ""),
        ("N = budget(1000), size = budget(1000), K = 4", "CS306"),
        ("N = budget(), size = 1, K = 4", "CS306"),
        ('N = budget("many"), size = 1, K = 4', "CS306"),
    ],
)
def test_what_cannot_be_met(arguments: str, code: str) -> None:
    if code:
        assert code_of(arguments) == code
    else:
        assert counted(arguments)[1].total <= 1000


def test_an_argument_that_trains_nothing() -> None:
    text = TEXT.replace("ARGUMENTS", "N = 3, size = 1, K = 4, seed_of = budget(1000)").replace(
        "half: int = 2*N", "half: int = 2*N, seed_of: int = 1"
    )
    spec, _ = parse_spec(text)
    assert spec is not None
    found = check(spec)
    assert [one.code for one in found] == ["CS513"] and "sets no bound on `seed_of`" in found[0].message


def test_a_number_that_only_a_draw_tells() -> None:
    text = TEXT.replace("ARGUMENTS", "N = budget(1000), size = 1, K = 4").replace(
        "fixed_outdegree(2)", "bernoulli(0.5)"
    )
    spec, _ = parse_spec(text)
    assert spec is not None
    assert {one.code for one in check(spec)} == {"CS513"}
