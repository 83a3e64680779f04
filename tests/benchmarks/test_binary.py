"""The programs of the binary benchmark at small sizes: all compute the workload, those of the same bits the same states."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch.nn")
pytest.importorskip("jax.numpy")
pytest.importorskip("cortexspec_binary")

from benchmarks import binary, ours_binary
from benchmarks.binary_workload import CASES, Case, flux_of, scale_of
from benchmarks.rivals import binary_numpy, binary_torch

DENSE, SPARSE = Case(20, 300, 12), Case(250, 30, 6, density=0.1)
COUNTED = Case(3, 200, 300, histogram=True)


@pytest.mark.parametrize("case", [DENSE, SPARSE, COUNTED], ids=str)
def test_every_program_computes_the_workload(case):
    simulation = ours_binary.compiled(case, "jax")
    network = ours_binary.network(case, simulation)
    programs = {"ours": ours_binary.program(case, simulation), **binary.by_hand(case, network)}
    assert len(programs) >= 5
    binary.require_right(programs, case, network)


def test_a_wrong_program_is_refused():
    simulation = ours_binary.compiled(DENSE, "interpreter")
    network = ours_binary.network(DENSE, simulation)
    wrong = replace(network, W=-network.W)
    with pytest.raises(SystemExit):
        binary.require_right(dict(binary_numpy.programs(DENSE, wrong)), DENSE, network)


@pytest.mark.parametrize("case", [DENSE, SPARSE], ids=str)
def test_programs_of_the_same_bits_have_the_same_states(case):
    programs = {}
    for backend in ("interpreter", "torch", "jax"):
        simulation = ours_binary.compiled(case, backend)
        programs[backend] = ours_binary.program(case, simulation)
    network = ours_binary.network(case, simulation)
    for name, library in (("numpy", binary_numpy), ("torch by hand", binary_torch)):
        programs[name] = library.with_our_bits(case, network)
    binary.require_same(programs, case)


def test_the_sparse_case_is_summed_from_a_table():
    assert ours_binary.compiled(SPARSE, "jax")._tables


def test_the_flux_of_a_table_of_independent_states_is_its_bias():
    counts = np.full((4, 4), 1000)
    assert flux_of(counts) == pytest.approx(-9 / (2 * 16000 * np.log(2)))


def test_cases_are_those_of_the_bars():
    assert [str(case) for case in CASES] == [
        "100 x 64", "1000 x 64", "1000 x 64, 10%", "10 x 1024, transitions counted",
    ]  # fmt: skip
    assert scale_of(CASES[0]) == pytest.approx(0.2)
