"""The three switches and the penalty of specs/microns_rnn make the 3 x 3 x 3 design, on a few cells."""

import re
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import expm

import cortexspec
from cortexspec.interpreter import run
from cortexspec.ir.op import Array

SPEC = Path(__file__).parents[2] / "specs" / "microns_rnn"
WEIGHTS = {"random": "W_random", "bio": "W_bio", "permuted": "W_permuted"}
DISTANCES = {"grid": "D_grid", "real": "D_real"}
PENALTIES = {"none": "wiring", "direct": "direct", "emd": "emd"}
DESIGN = [(w, "none", "none") for w in WEIGHTS] + list(product(WEIGHTS, DISTANCES, PENALTIES))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("microns")
    (folder / "microns").mkdir()
    shutil.copy(SPEC / "microns" / "few_cells.npz", folder / "microns")
    text = (SPEC / "model.cortex").read_text(encoding="utf-8").partition("\nexperiment ")[0]
    text = re.sub(r'\n"""[^"]*"""$', "", text.rstrip()) + "\n"  # the doc string of the experiment
    variants = ""
    for w, d, c in DESIGN:
        edits = [f"W0 = {WEIGHTS[w]}", f"structure = {PENALTIES[c] if d != 'none' else 'none'}"]
        edits += [f"D = {DISTANCES[d]}"] if d != "none" else []
        variants += f"  variant {w}_{d}_{c} {{ {'; '.join(edits)} }}\n"
    path = folder / "model.cortex"
    design = f'experiment design of rnn(24, 3, 2, "microns/few_cells.npz") {{\n{variants}}}\n'
    path.write_text(text.replace("use connectome", "# use").replace("use tasks", "# use") + design, encoding="utf-8")
    return path


def communicability(A: Array, offset: float) -> Array:
    S = A.sum(0) + offset
    C = expm(A / np.sqrt(S) / np.sqrt(S)[:, None])
    return C - np.diag(np.diag(C))


@pytest.mark.parametrize(("w", "d", "c"), DESIGN)
def test_every_cell_of_the_design(file: Path, w: str, d: str, c: str) -> None:
    simulation = cortexspec.compile(
        file, experiment="design", variant=f"{w}_{d}_{c}", dt=1, duration=1, dtype="float64"
    )
    buffers = {name: np.asarray(array) for name, array in simulation.buffers().items()}
    W = np.asarray(simulation.parameters()["rec.weight"])
    order = buffers["order"].astype(int)
    start = {"random": buffers["W_drawn"], "bio": buffers["W_bio"], "permuted": buffers["W_bio"][order][:, order]}
    np.testing.assert_array_equal(W, start[w])
    module = simulation.plain
    known = simulation.in_layout(module, simulation.raw_parameters() | simulation.buffers())
    penalty = module.function("penalty")
    found = run(penalty, {one.name: known[one.name] for one in penalty.inputs}, simulation.sizes, module.layout)
    A = np.abs(W)
    if d == "none":
        wanted = A.sum()
    else:
        D = buffers["D_grid" if d == "grid" else "D_slip"]
        C = communicability(A, 1e-10)
        wanted = 0.3 * (A * D * (C if c == "direct" else 1)).sum()
        if c == "emd":
            wanted += 0.1 * np.abs(np.sort(C.ravel()) - np.sort(buffers["C_emp"].ravel())).mean()
    assert found["structure"] == pytest.approx(wanted, rel=1e-9)
