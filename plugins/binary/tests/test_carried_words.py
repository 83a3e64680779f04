"""A small network that is measured carries words, and has the states that it has without them."""

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.runtime import compile as stages

SPEC = """
use binary

neuron cell {
  param b = 0.3
  input u
  state x ~ bernoulli(0.5)
  let p = sigmoid(u + b)
  x <- bernoulli(p)
  output x
}

circuit net(n: int = 6) {
  population cells[n] : cell
  connect cells -> cells { weight ~ normal(0, 1) }
}
"""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_words_and_states_give_the_same_counts(backend: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip({"torch": "torch.nn"}.get(backend, "numpy" if backend == "interpreter" else backend))
    found, rewritten = [], stages.carry_words

    def watched(function, *rest):
        after = rewritten(function, *rest)
        found.append(after is not function)
        return after

    def measured() -> dict[str, np.ndarray]:
        sim = cs.compile(cs.parse(SPEC), "net", backend=backend, dtype=dtype, dt=1)
        return sim.measure({"f": "flux(cells.x, pooled = true)", "m": "mean(cells.x)"}, duration=300, trials=4)

    monkeypatch.setattr(stages, "carry_words", watched)
    words = measured()
    assert any(found)
    monkeypatch.setattr(stages, "carry_words", lambda function, *_: function)
    states = measured()
    assert words["f"] == states["f"]
    np.testing.assert_allclose(words["m"], states["m"], rtol=1e-6)
