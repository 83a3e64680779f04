"""The programs of the spiking benchmark by hand: all have the rate of the plain equations."""

import numpy as np
import pytest

pytest.importorskip("torch.nn")
pytest.importorskip("jax.numpy")

from benchmarks import spiking
from benchmarks.spiking_workload import CASES, DRIVE, EXCITATORY, NEURONS, Case, Network, rate_of, simulate


def network(case):
    rng = np.random.default_rng(1)
    pre = np.sort(rng.integers(0, NEURONS, NEURONS * case.degree))
    target = rng.integers(0, NEURONS, len(pre))
    rows = np.concatenate([[0], np.cumsum(np.bincount(pre, minlength=NEURONS))])
    jump = np.where((pre if case.each else np.arange(NEURONS)) < EXCITATORY, 1, -case.inhibition) * case.jump
    return Network(rows, target, jump.astype(np.float32), rng.uniform(0, 20, NEURONS).astype(np.float32), DRIVE)


@pytest.mark.parametrize("each", [False, True])
def test_programs_by_hand_have_the_rate(each):
    case = Case(20, each, steps=200, jump=0.7)
    given = network(case)
    wanted = rate_of(simulate(case, given), case)
    programs = spiking.by_hand(case, given)
    assert wanted > 5 and len(programs) == 4
    spiking.require_rate({name: program.rate() for name, program in programs.items()}, wanted, case)
    with pytest.raises(SystemExit):
        spiking.require_rate({"wrong": 1.2 * wanted}, wanted, case)


def test_cases_are_those_of_the_bars():
    assert [str(case) for case in CASES] == [
        "K = 1000, shared weights", "K = 1000, a weight a synapse", "K = 200, shared weights", "K = 200, a weight a synapse",
    ]  # fmt: skip


def test_without_their_environment_simulators_are_left_out(tmp_path, capsys):
    case = Case(20)
    assert spiking._simulators(case, None, 9.0, 15, tmp_path / "python") == {}
    assert "not timed" in capsys.readouterr().err
