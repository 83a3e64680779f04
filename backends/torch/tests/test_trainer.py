"""Training agrees with the interpreter, update by update, and resumes to the same result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch.nn")

from cortexspec_torch import Backend

from cortexspec.contracts.backend import Options, Recipe
from cortexspec.diagnostics import SpecError
from cortexspec.interpreter import Backend as Interpreter
from cortexspec.testing import training

EXACT = Options(dtype="float64")


def parameters(simulator):
    return {**simulator.parameters(), **simulator.buffers()}


def compare(found, wanted, tolerance):
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert np.max(np.abs(found[name] - wanted[name])) <= tolerance, name


@pytest.mark.parametrize("recipe", training.RECIPES.values(), ids=training.RECIPES.keys())
def test_twenty_steps(recipe):
    ours, reference = (kind().load(training.bound(), EXACT) for kind in (Backend, Interpreter))
    trainer, wanted = ours.trainer(recipe), reference.trainer(recipe)
    for batch in training.batches(20):
        scalars, expected = trainer.step(batch), wanted.step(batch)
        assert scalars.keys() == expected.keys() == {"loss", "largest_error"}
        for name in expected:
            assert abs(scalars[name] - expected[name]) <= 1e-12
        compare(parameters(ours), parameters(reference), 1e-12)
    assert (ours.parameters()["net.W"] >= 0).all()


@pytest.mark.parametrize("name", ["adam", "adamax", "sgd, momentum", "rmsprop, momentum"])
def test_the_order_of_axes_in_memory_does_not_matter(name):
    """Fused optimisers read parameter and gradient side by side, as they lie in memory."""
    import torch

    bound = training.bound()
    turned = {name: np.asfortranarray(array) for name, array in bound.params.items()}
    plain, other = (Backend().load(one, EXACT) for one in (bound, replace(bound, params=turned)))
    trainers = [simulator.trainer(training.RECIPES[name]) for simulator in (plain, other)]
    for batch in training.batches(3):
        for trainer in trainers:
            trainer.step(batch)
        gradients = [torch.arange(p.numel(), dtype=p.dtype).reshape(p.shape) for p in trainers[0].parameters]
        trainers[0].apply_gradients(gradients)
        trainers[1].apply_gradients([g.T.contiguous().T if g.ndim == 2 else g for g in gradients])
    assert any(p.ndim == 2 and min(p.shape) > 1 for p in trainers[0].parameters)
    compare(parameters(other), parameters(plain), 1e-14)


@pytest.mark.parametrize("name", ["adam", "adamax", "sgd, momentum", "rmsprop, momentum"])
def test_resume_is_the_same_run(name):
    recipe, batches = training.RECIPES[name], training.batches(9)
    whole = Backend().load(training.bound(), EXACT)
    trainer = whole.trainer(recipe)
    for batch in batches[:4]:
        trainer.step(batch)
    kept, state = parameters(whole), trainer.state()
    for batch in batches[4:]:
        trainer.step(batch)
    resumed = Backend().load(training.bound(seed=5), EXACT)
    resumed.set_parameters({name: kept[name] for name in resumed.parameters()})
    resumed.set_buffers({name: kept[name] for name in resumed.buffers()})
    later = resumed.trainer(recipe)
    later.restore(state)
    for batch in batches[4:]:
        later.step(batch)
    compare(parameters(resumed), parameters(whole), 0.0)
    compare(later.state(), trainer.state(), 0.0)


@pytest.mark.parametrize("name", ["adam", "sgd, momentum"])
def test_state_crosses_to_the_interpreter(name):
    recipe, batches = training.RECIPES[name], training.batches(6)
    ours, reference = (kind().load(training.bound(), EXACT) for kind in (Backend, Interpreter))
    trainer = ours.trainer(recipe)
    for batch in batches[:3]:
        trainer.step(batch)
    reference.set_parameters(ours.parameters())
    reference.set_buffers(ours.buffers())
    wanted = reference.trainer(recipe)
    wanted.restore(trainer.state())
    for batch in batches[3:]:
        trainer.step(batch)
        wanted.step(batch)
    compare(parameters(ours), parameters(reference), 1e-12)


@pytest.mark.parametrize("recipe", [Recipe("adagrad"), Recipe("adam", {"rate": 0.1})])
def test_what_no_backend_has(recipe):
    with pytest.raises(SpecError) as error:
        Backend().load(training.bound(), EXACT).trainer(recipe)
    assert error.value.diagnostics[0].code == "CS804"
