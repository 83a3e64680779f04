"""`x <- e every T`: at every step that is a multiple of T, the first among them, and held between."""

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.diagnostics import SpecError

TEXT = """
neuron held(T: ms = 1 ms) {
  state x = 0, y = 0
  x <- x + 1 every T
  y <- normal(0, 1) every 2*T
}
circuit one { population p[2] : held }
"""


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_it_changes_when_it_is_due(backend: str) -> None:
    run = cs.compile(cs.parse(TEXT), "one", backend=backend, dt="0.5 ms", duration="5 ms").simulate(
        record=["p.x", "p.y"]
    )
    assert run["p.x"].values[0, :, 0].tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    y = run["p.y"].values[0]
    assert np.array_equal(y[[1, 2, 3]], y[[0, 0, 0]]) and np.array_equal(y[5:8], y[[4, 4, 4]])
    assert len(np.unique(y)) == 2 * 3


@pytest.mark.parametrize(("interval", "said"), [("0.7 ms", "no whole number"), ("0 ms", "at least one step")])
def test_an_interval_is_a_whole_number_of_steps(interval: str, said: str) -> None:
    with pytest.raises(SpecError) as raised:
        cs.compile(cs.parse(TEXT.replace("T: ms = 1 ms", f"T: ms = {interval}")), "one", dt="0.5 ms").simulate(
            duration="5 ms"
        )
    (found,) = raised.value.diagnostics
    assert found.code == "CS916" and said in found.message and found.span is not None
