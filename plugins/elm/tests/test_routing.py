"""Which input each synapse reads, and routings that cannot be."""

from typing import Any

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.diagnostics import SpecError

TEXT = """
use elm

circuit one(d_in: int = 1278, d_tree: int = 45, d_brch: int = 100) {
  input x[d_in]
  population p[2] : elm_neuronio(d_tree = d_tree, d_brch = d_brch, d_m = 2)
  connect wires: x -> p.x { rule = windows(interlaced = true) }
}
"""


def wired(text: str = TEXT, **arguments: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Source and target of each connection."""
    buffers = cs.compile(cs.parse(text), "one", arguments, dt=1).buffers()
    return buffers["wires.pre"], buffers["wires.post"]


def refused(text: str = TEXT, **arguments: Any) -> Any:
    with pytest.raises(SpecError) as told:
        wired(text, **arguments)
    return told.value.diagnostics[0]


def test_neuronio() -> None:
    """1278 inputs, 45 branches of 100: a stride of 29, and 3.4 reads of an input."""
    pre, post = wired()
    assert set(pre) == set(range(1278))
    branch, synapse = (post % 4500) // 100, post % 100
    place = np.where(pre < 639, 2 * pre, 2 * (pre - 639) + 1)  # before interlacing
    np.testing.assert_array_equal(place, branch * 29 + synapse)
    assert len(pre) / 2 / 1278 == pytest.approx(3.4, abs=0.05)
    assert len(np.unique(post)) == len(post) and post.max() == 2 * 4500 - 101 + 1278 - 44 * 29


def test_without_halves_and_with_one_synapse_an_input_it_is_the_identity() -> None:
    pre, post = wired(TEXT.replace("interlaced = true", ""), d_in=12, d_tree=3, d_brch=4)
    np.testing.assert_array_equal(post % 12, pre)


def test_random_routing() -> None:
    pre, post = wired(TEXT.replace("windows(interlaced = true)", "fixed_indegree(1, multapses = true)"), d_in=20)
    assert len(post) == 2 * 4500 and len(np.unique(post)) == len(post)
    assert np.abs(np.bincount(pre, minlength=20) - 450).max() < 5 * 450**0.5


def test_a_routing_that_cannot_cover_its_inputs() -> None:
    told = refused(d_brch=28)
    assert told.code == "CS504"
    assert "45 branches of 28 synapses cannot cover 1278 inputs" in told.message and "29" in told.help


def test_halves_that_are_not_equal() -> None:
    assert refused(d_in=1277).code == "CS504"


def test_a_port_without_synapses() -> None:
    text = TEXT.replace("elm_neuronio(d_tree = d_tree, d_brch = d_brch, d_m = 2)", "elm(d_tree = d_tree, d_m = 2)")
    assert refused(text.replace("p.x", "p.s")).code == "CS501"
