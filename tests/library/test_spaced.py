"""`linspace` and `logspace`: lists in circuits, on every engine, and in what is read before anything is computed."""

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.diagnostics import SpecError
from cortexspec.expressions.parse import parse_expression
from cortexspec.expressions.spaced import spaced

SPEC = """
neuron unit(k: int = 4) {
  param low = 2 mV  trainable
  param high = 7 mV  trainable
  param fixed[k] = linspace(0, 3 mV, k)
  state x[k] = 0 mV
  x <- linspace(low, high, count = k) + fixed
  output x
}

circuit net {
  population cells[2] : unit
}

experiment e of net {
  simulate { duration = 1; dt = 1 }
  measure level = mean(cells.x)
  vary { cells.high = VALUES }
  claim "rises" from "here": level[cells.high = 4 mV] > level[cells.high = 1 mV]
}
"""


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_values_and_gradients(backend):
    """x_k = low (1 - k/3) + high k/3 + k, so with weights k the slopes are sums of k (1 - k/3) and k^2/3."""
    sim = cs.compile(cs.parse(SPEC), "net", backend=backend, dtype="float64", dt=1, duration=1)
    found = sim.simulate(record="cells.x")["cells.x"].values[0, 0]
    np.testing.assert_allclose(found, np.tile(np.linspace(2, 7, 4) + np.arange(4), (2, 1)), rtol=1e-14)
    _, slopes = sim.value_and_grad("sum(cells.x^2)/(1 mV^2)")
    share = np.arange(4) / 3
    for name, partial in (("low", 1 - share), ("high", share)):
        np.testing.assert_allclose(slopes[f"cells.{name}"].sum(), (2 * found * partial).sum(), rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("linspace(0, 1, count = 5)", "[0, 0.25, 0.5, 0.75, 1]"),
        ("linspace(-1, 1, 3)", "[-1, 0, 1]"),
        ("linspace(0, 10 mV, count = 3)", "[0 mV, 5 mV, 10 mV]"),
        ("linspace(3 mV, 0, count = 2)", "[3 mV, 0 mV]"),
        ("linspace(2, 5, count = 1)", "[2]"),
        ("logspace(1, 100, count = 3)", "[1, 10, 100]"),
        ("logspace(1, 100, 3)", "[1, 10, 100]"),
    ],
)
def test_lists(text, values):
    found, wanted = spaced(parse_expression(text)), parse_expression(values)
    assert found is not None and found.items == wanted.items


@pytest.mark.parametrize(
    "text",
    [
        "linspace(1, 2 mV, 3)",
        "linspace(1, 0 mV, 3)",
        "linspace(0, 1, 0)",
        "linspace(0, 1, 2.5)",
        "linspace(0, 1)",
        "logspace(0, 1, 3)",
    ],
)
def test_no_lists(text):
    assert spaced(parse_expression(text)) is None


def test_values_are_varied(tmp_path):
    file = tmp_path / "model.cortex"
    file.write_text(SPEC.replace("VALUES", "linspace(1 mV, 4 mV, count = 3)"), encoding="utf-8")
    """(low + high)/2 + 3/2 in each of the three cells."""
    table = cs.reproduce(file, backend="interpreter", results=tmp_path / "results")
    assert [row.verdict.word for row in table.rows["e"]] == ["holds"]
    assert sorted(table.measure(cell, "level").item() for cell in table.results) == pytest.approx([3.0, 3.75, 4.5])


@pytest.mark.parametrize(
    ("written", "code"),
    [("linspace(0, 3 mV, 0)", "CS505"), ("linspace(0, 3 ms, k)", "CS401"), ("linspace(2 ms, 3 mV, k)", "CS401")],
)
def test_mistakes(written, code):
    text = SPEC.replace("VALUES", "1 mV").replace("linspace(0, 3 mV, k)", written)
    with pytest.raises(SpecError) as caught:
        cs.compile(cs.parse(text), "net", dt=1, duration=1)
    assert caught.value.diagnostics[0].code == code
