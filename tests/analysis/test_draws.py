"""Experiments that vary no seed: judged exactly only where nothing that they measure is drawn."""

from pathlib import Path

import pytest

from cortexspec.experiments.session import Choice, read_experiments
from cortexspec.runtime.check import check_file

PLAIN = """
neuron unit {
  param τ = 10 ms
  input I
  state v = 1
  τ*v' = I - v
  output v
}

circuit c {
  input drive = 1
  population a[4], b[3] : unit
  connect drive -> a.I
  connect a -> b.I { weight = 0.5 }
}

experiment e of c {
  simulate { duration = 20 ms; dt = 1 ms }
  let last = b.v[time = end]
  measure m = mean(last)
  claim "it moves" from "here": m > 0
}
"""
DRAWN = {
    "connections": ("connect a -> b.I { weight = 0.5 }", "connect a -> b.I { rule = bernoulli(0.5); weight = 0.5 }"),
    "a weight": ("weight = 0.5", "weight ~ normal(0.5, 0.1)"),
    "a start": ("state v = 1", "state v ~ uniform(0, 1)"),
    "a parameter": ("a[4], b[3] : unit", "a[4], b[3] : unit(τ ~ normal(10 ms, 1 ms) per neuron)"),
    "noise": ("τ*v' = I - v", "noise ξ\n  τ*v' = I - v + τ^(1/2)*ξ"),
    "a draw in every step": ("τ*v' = I - v", "τ*v' = I + bernoulli(0.5) - v"),
}
SAME = {
    "as it is": ("", ""),
    "written connections": (
        "connect a -> b.I",
        "connect a -> b.I { rule = from_matrix([[1, 0, 0, 1], [0, 1, 0, 0], [1, 1, 1, 1]]) }\n  connect b -> b.I",
    ),
    "a drawn weight that no measure reads": (
        "weight = 0.5 }\n}",
        'weight ~ normal(0.5, 0.1) trainable }\n}\nexperiment f of c { measure n = count(parameters)\n  claim "few" from "here": n > 0 }',
    ),
}


def seeded(folder: Path, change: tuple[str, str], name: str = "e") -> bool:
    file = folder / "model.cortex"
    file.write_text(PLAIN.replace(*change) if change[0] else PLAIN, encoding="utf-8")
    assert check_file(file).diagnostics == ()
    return read_experiments(Choice(file))[name].grid.seeded


@pytest.mark.parametrize("what", DRAWN)
def test_what_hangs_on_a_draw_is_one_value_of_many(what: str, tmp_path: Path) -> None:
    assert seeded(tmp_path, DRAWN[what])


@pytest.mark.parametrize("what", SAME)
def test_what_hangs_on_none_is_exact(what: str, tmp_path: Path) -> None:
    assert not seeded(tmp_path, SAME[what], "f" if "no measure" in what else "e")
