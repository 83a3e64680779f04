"""The neurons and synapses that come with CortexSpec: each text is fine by itself, and a kernel takes the unit of its weight."""

from pathlib import Path

import pytest

from cortexspec.library.texts import neurons, synapses
from cortexspec.runtime.check import check_file

TEXTS = [*neurons.texts, *synapses.texts]

_ARRIVING = """
synapse kernel(τ: ms = 5 ms) {
  input z
  state s : arriving = 0  per post
  τ*s' = z - s
  output τ*s
}
neuron cell {
  input I : pA = 0 pA
  input g : nS = 0 nS
  state v = 0 mV
  v' = -v/10 ms + I/100 pF + g*(0 mV - v)/100 pF
  spike when v > 10 mV { v <- 0 mV }
}
circuit pair {
  population a[4], b[4] : cell
  connect a -> b.I { weight = 3 pA; synapse = kernel() }
  connect b -> a.g { weight = WEIGHT; synapse = kernel() }
}
"""


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_each_text_is_fine_by_itself(text: Path) -> None:
    assert not check_file(text).diagnostics


def test_a_kernel_takes_the_unit_of_its_weight(tmp_path: Path) -> None:
    file = tmp_path / "pair.cortex"
    file.write_text(_ARRIVING.replace("WEIGHT", "2 nS"), encoding="utf-8")
    assert not check_file(file).diagnostics
    file.write_text(_ARRIVING.replace("WEIGHT", "2 mV"), encoding="utf-8")
    (found,) = check_file(file).diagnostics
    assert (found.code, found.message) == ("CS403", "`a.g` takes nS, but `b_to_a_g` delivers mV")


def test_only_a_synapse_has_something_arriving(tmp_path: Path) -> None:
    file = tmp_path / "cell.cortex"
    file.write_text("neuron cell {\n  state v : arriving = 0\n  v' = -v/10 ms\n}\n", encoding="utf-8")
    (found,) = check_file(file).diagnostics
    assert found.code == "CS104"
