"""specs/gallery/gru.cortex against torch.nn.GRU, with its weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.session import Choice, Session

SPEC = Path(__file__).parents[2] / "specs" / "gallery" / "gru.cortex"
UNITS, STEPS, TRIALS = 6, 12, 3


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_the_unit_is_that_of_torch_with_its_weights(backend: str) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip(f"cortexspec_{backend}") if backend != "interpreter" else None
    torch.manual_seed(0)
    unit = torch.nn.GRU(2, UNITS, batch_first=True, dtype=torch.float64)
    sim = cs.compile(SPEC, "gru_after", {"N": UNITS}, backend=backend, dtype="float64", dt="1", duration=str(STEPS))
    sim.set_parameters(_as_ours(unit))
    x = np.random.default_rng(0).normal(size=(TRIALS, STEPS, 2))
    ours = sim.simulate({"x": x}, record=["cell.h"])["cell.h"].transpose("trial", "time", ...).to_numpy()
    with torch.no_grad():
        theirs = unit(torch.from_numpy(x))[0].numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-14)


def _as_ours(unit: Any) -> dict[str, np.ndarray]:
    """torch holds the rows of the reset gate first, then of the update gate, then of the candidate."""
    into, among = (getattr(unit, f"weight_{name}_l0").detach().numpy().reshape(3, UNITS, -1) for name in ("ih", "hh"))
    outer, inner = (getattr(unit, f"bias_{name}_l0").detach().numpy().reshape(3, UNITS) for name in ("ih", "hh"))
    gates = {"r": 0, "z": 1}
    return {
        **{f"x_to_cell_{gate}.weight": into[k] for gate, k in gates.items()},
        **{f"cell_to_cell_{gate}.weight": among[k] for gate, k in gates.items()},
        **{f"cell.b_{gate}": outer[k] + inner[k] for gate, k in gates.items()},
        "x_to_cell_n.weight": into[2],
        "cell_to_cell_m.weight": among[2],
        "cell.b_n": outer[2],
        "cell.b_m": inner[2],
    }


def test_the_experiment_has_its_data() -> None:
    session = Session.open(Choice(SPEC, backend="interpreter"), CellKey("adding", "base", ()), 1)
    assert session.dataset is not None and session.simulation.steps() == session.dataset.length == 100
