"""Parameter counts: those of the papers' networks and neurons, and networks sized by a budget."""

from typing import Any

import pytest

from cortexspec.analysis.count import count
from cortexspec.analysis.elaborate import elaborate
from cortexspec.language.parse import parse_spec
from cortexspec.runtime.plugins import plugins_of

NETWORK = """
use elm

circuit network(n_in: int, n_out: int, N: int, d_m: int, d_tree: int, d_brch: int, ρ: real) {
  input x[n_in]
  population hidden[N] : elm(d_m = d_m, d_tree = d_tree)
  population last[n_out] : elm_readout(d_tree = d_tree)
  part map : dense(n_out)
  group pool = [x, hidden.a]
  connect wires: pool -> hidden.s {
    rule = fixed_indegree(d_brch, multapses = true, chance = [1 - ρ, ρ])
    weight ~ uniform(-1/sqrt(d_brch), 1/sqrt(d_brch)) trainable
  }
  connect up: hidden.a -> last.s {
    rule = fixed_indegree(d_brch, multapses = true)
    weight ~ uniform(-1/sqrt(d_brch), 1/sqrt(d_brch)) trainable
    read = new
  }
  output logits = map(last.y)
}

experiment text of network(n_in = 204, n_out = 204, N = 1024, d_m = 15, d_tree = 50, d_brch = 15, ρ = 0.8) { simulate { dt = 1 } }
experiment speech of network(n_in = 700, n_out = 19, N = 96, d_m = 5, d_tree = 30, d_brch = 10, ρ = 0.25) { simulate { dt = 1 } }
"""
NEURON = """
use elm

circuit one(d_m: int) {
  input x[1278]
  population p[1] : elm_v2(d_tree = 45, d_brch = 100, d_m = d_m, d_o = 2)
  connect x -> p.x { rule = windows(interlaced = true) }
}
"""
TEXT = {
    5: 2398, 10: 1500, 15: 1024, 20: 742, 25: 561, 30: 440, 35: 353, 40: 290, 45: 243, 50: 206, 60: 153, 70: 118, 85: 85,
    100: 64,
}  # fmt: skip
SPEECH = {2: 155, 3: 130, 4: 111, 5: 96, 7: 73, 9: 57, 11: 46, 15: 32, 20: 21, 25: 15}


def model_of(text: str, experiment: str | None = None, **arguments: Any) -> Any:
    spec, mistakes = parse_spec(text)
    assert spec is not None and not mistakes
    model, found = elaborate(spec, None, arguments, experiment, plugins=plugins_of([spec]).brought)
    assert model is not None, found
    return model


def published(n_out: int, N: int, d_m: int, d_tree: int, k_c: int) -> int:
    """Section 5 of the page: what the papers' own code counts."""
    k_e = 4 * d_m**2 + (2 * d_tree + 4) * d_m + 1
    return N * (k_c + k_e) + n_out * (k_c + 3 * (3 + d_tree + 1) + 3 + 1) + n_out * (n_out + 1)


@pytest.mark.parametrize(("experiment", "total"), [("text", 3_516_748), ("speech", 77_310)])
def test_the_reference_networks(experiment: str, total: int) -> None:
    found = count(model_of(NETWORK, experiment))
    assert found.total == total
    hidden = found.populations[0]
    wanted = {"text": (2461, 750), "speech": (421, 300)}[experiment]
    assert (hidden.own // hidden.neurons, hidden.weights // hidden.neurons) == wanted


@pytest.mark.parametrize(("d_m", "total"), [(20, 8_002), (100, 54_002)])
def test_the_single_neurons(d_m: int, total: int) -> None:
    assert count(model_of(NEURON, d_m=d_m)).total == total


@pytest.mark.parametrize("d_m", TEXT)
def test_text_along_its_budget(d_m: int) -> None:
    """The published N is what the budget of the reference leaves room for."""
    found = count(model_of(NETWORK.replace("N = 1024", "N = budget(3516748)"), "text", d_m=d_m))
    assert found.populations[0].neurons == TEXT[d_m]
    assert found.total == published(204, TEXT[d_m], d_m, 50, 750)
    assert abs(found.total / 3_516_748 - 1) < 0.01


@pytest.mark.parametrize("d_m", SPEECH)
def test_speech_along_its_budget(d_m: int) -> None:
    """As text; with few large neurons, less than one of them is left over, which is more than 1 % of so small a budget."""
    found = count(model_of(NETWORK.replace("N = 96", "N = budget(77310)"), "speech", d_m=d_m))
    assert found.populations[0].neurons == SPEECH[d_m]
    assert found.total == published(19, SPEECH[d_m], d_m, 30, 300)
    each = (found.populations[0].own + found.populations[0].weights) // SPEECH[d_m]
    assert 0 <= 77_310 - found.total < each


@pytest.mark.parametrize(("asked", "value"), [("d_m = 15", 15), ("d_brch = 15", 15)])
def test_the_budget_may_be_that_of_another_argument(asked: str, value: int) -> None:
    name = asked.partition(" ")[0]
    model = model_of(NETWORK.replace(asked, f"{name} = budget(3516748)"), "text")
    assert model.sizes[name] == value and count(model).total == 3_516_748
