"""The public face on torch: the interpreter's numbers, an ordinary module in a loop of one's own, checkpoints from elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cortexspec as cs

pytest.importorskip("torch.nn")

import torch

SPEC = Path(__file__).parents[3] / "specs" / "cmc"
SMALL = {"regions": 2, "channels": 4, "hidden": 8}
LOSS = "cross_entropy(logits[time = end], label)"


def compiled(backend: str, **options: object) -> cs.Simulation:
    chosen = {"dtype": "float64", "dt": "3.65 ms", "duration": "36.5 ms", "shapes": {"image": (1, 16, 16)}, **options}
    return cs.compile(SPEC, "visual_hierarchy", SMALL, backend=backend, **chosen)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"image": rng.normal(size=(12, 1, 16, 16)), "label": rng.integers(0, 10, 12)}


def test_runs_and_gradients_are_the_interpreters(inputs: dict[str, np.ndarray]) -> None:
    ours, reference = compiled("torch"), compiled("interpreter")
    image = {"image": inputs["image"]}
    record = ["V.cells.v", "logits[time = end]", "between.arriving"]
    run, wanted = ours.simulate(image, record=record), reference.simulate(image, record=record)
    for name in wanted.data_vars:
        assert run[name].dims == wanted[name].dims
        np.testing.assert_allclose(run[name], wanted[name], rtol=0, atol=1e-12 * float(np.abs(wanted[name]).max()))
    for training in (False, True):
        value, gradients = ours.value_and_grad(LOSS, inputs, training=training)
        other, expected = reference.value_and_grad(LOSS, inputs, training=training)
        assert value == pytest.approx(other, rel=1e-12)
        largest = max(np.abs(one).max() for one in expected.values())
        for name, one in expected.items():
            np.testing.assert_allclose(gradients[name], one, rtol=0, atol=1e-10 * largest, err_msg=name)


def test_a_loop_of_ones_own_trains_what_simulate_runs(inputs: dict[str, np.ndarray]) -> None:
    sim = compiled("torch", dtype="float32")
    circuit = sim.module
    assert isinstance(circuit, torch.nn.Module)
    optimiser = torch.optim.Adam(circuit.parameters(), lr=1e-2)
    layout = circuit.bound.module.layout
    axes = layout.sort(tuple(axis.name for axis in sim.plain.inputs[0].value.type.axes))
    places = [("trial", "image_0", "image_1", "image_2").index(axis) for axis in axes]
    image = torch.tensor(inputs["image"].transpose(places), dtype=torch.float32)
    label = torch.tensor(inputs["label"])
    before, losses = sim.buffers()["bn1.mean"].copy(), []
    for step in range(40):
        trial = torch.arange(12) + 12 * step
        logits = circuit(image=image, trial=trial)["logits[time = end]"]
        rows = logits if logits.shape[0] == 12 else logits.T
        loss = torch.nn.functional.cross_entropy(rows, label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        sim.project()
        losses.append(loss.item())
    assert min(losses[-3:]) < 0.8 * losses[0]
    assert not np.allclose(sim.buffers()["bn1.mean"], before)
    circuit.eval()
    with torch.no_grad():
        own = circuit(image=image)["logits[time = end]"].numpy()
    run = sim.simulate({"image": inputs["image"]}, record="logits[time = end]")["logits"].values
    np.testing.assert_allclose(own if own.shape == run.shape else own.T, run, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_crosses_backends(inputs: dict[str, np.ndarray], tmp_path: Path) -> None:
    trained = compiled("torch", seed=3)
    trained.set_parameters({"a": [0.5, 2.0]})
    cs.save(trained, tmp_path / "kept.safetensors")
    other = cs.restore(compiled("interpreter"), tmp_path / "kept.safetensors")
    image = {"image": inputs["image"][:2]}
    one, two = (sim.simulate(image, record="logits[time = end]")["logits"] for sim in (trained, other))
    np.testing.assert_allclose(one, two, rtol=1e-11)
