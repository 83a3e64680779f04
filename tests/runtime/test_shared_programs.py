"""Circuits of one text share the work of the passes; what is each one's own stays so."""

from typing import Any

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.runtime import program

SPEC = """
neuron rate {
  param τ = 20 ms
  input force = 0
  state r = 1
  τ*r' = -r + force
  output r
}

circuit ring(n: int = 4) {
  population a[n] : rate
  connect around: a.r -> a.force { weight ~ normal(0, 0.1) }
}
"""


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The modules that went through the passes."""
    seen: list[Any] = []
    through = program.run_pipeline
    monkeypatch.setattr(program, "run_pipeline", lambda module, *rest: seen.append(module) or through(module, *rest))
    program._optimised.cache_clear()  # pyright: ignore[reportPrivateUsage]
    return seen


def test_seeds_share_the_passes_and_keep_their_seed(passes: list[Any]):
    runs = [cs.compile(cs.parse(SPEC), "ring", dt="1 ms", seed=seed) for seed in (1, 2, 1)]
    found = [np.asarray(run.simulate(duration="20 ms", record=["a.r"])["a.r"]) for run in runs]
    assert len(passes) == 1
    np.testing.assert_array_equal(found[0], found[2])
    assert (found[0] != found[1]).any()


def test_another_text_is_another_program(passes: list[Any]):
    for text in (SPEC, SPEC.replace("-r + force", "-2*r + force")):
        cs.compile(cs.parse(text), "ring", dt="1 ms").simulate(duration="5 ms")
    assert len(passes) == 2


def test_an_edited_place_is_another_program_so_that_mistakes_name_their_line(passes: list[Any]):
    for text in (SPEC, "\n\n" + SPEC):
        cs.compile(cs.parse(text), "ring", dt="1 ms").simulate(duration="5 ms")
    assert len(passes) == 2
