"""Training in NumPy: the updates of `contracts.training`, written out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cortexspec.contracts.backend import Recipe
from cortexspec.contracts.training import clip_factor, learning_rate, optimizer_options

if TYPE_CHECKING:
    from cortexspec.interpreter.simulator import Simulator

Array = np.ndarray[Any, Any]
Slots = dict[str, Array]
Update = Callable[[Array, Array, Slots, Mapping[str, float], float, int], Array]


class Updates:
    """An optimiser of arrays by name, with its state."""

    def __init__(self, names: Sequence[str], recipe: Recipe):
        """Raises SpecError CS804 for an optimiser or an option that no backend has."""
        self.names, self.recipe = list(names), recipe
        self.options = optimizer_options(recipe)
        self.slots: dict[str, Slots] = {name: {} for name in self.names}
        self.steps = 0

    def applied(self, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> dict[str, Array]:
        """The parameters after one step against their gradients, which are clipped by their global norm."""
        factor = 1.0
        if self.recipe.clip is not None:
            norm = float(np.sqrt(sum(float((g * g).sum()) for g in gradients.values())))
            factor = clip_factor(norm, self.recipe.clip)
        rate = learning_rate(self.recipe, self.steps)
        update = UPDATES[self.recipe.optimizer]
        made: dict[str, Array] = {}
        for name in self.names:
            p, g = parameters[name], gradients[name]
            g = g * g.dtype.type(factor) if factor < 1 else g
            made[name] = update(p, g, self.slots[name], self.options, rate, self.steps + 1)
        self.steps += 1
        return made

    def state(self) -> dict[str, Array]:
        """Everything that a resume needs beside parameters and buffers: `steps`, and `SLOT/PARAMETER` for each slot."""
        state: dict[str, Array] = {"steps": np.asarray(self.steps)}
        for name, slots in self.slots.items():
            state |= {f"{slot}/{name}": array.copy() for slot, array in slots.items()}
        return state

    def restore(self, state: Mapping[str, Array]) -> None:
        self.steps = int(state["steps"])
        self.slots = {name: {} for name in self.names}
        for key, array in state.items():
            slot, _, name = key.partition("/")
            if name in self.slots:
                self.slots[name][slot] = np.array(array)


class Trainer:
    """Owns the optimiser's state."""

    def __init__(self, simulator: Simulator, recipe: Recipe):
        """Raises SpecError CS804 for an optimiser or an option that no backend has."""
        self.simulator, self.recipe = simulator, recipe
        trainable = [param.value.name for param in simulator.module.params if param.trainable]
        self.updates = Updates(recipe.trainable or trainable, recipe)
        self.carried: dict[str, Array] = {}

    def step(self, inputs: Mapping[str, Array]) -> dict[str, float]:
        """One update; writes running buffers back, projects constrained parameters, returns the function's scalars."""
        simulator = self.simulator
        given = {**self.carried, **inputs}
        outputs, gradients = simulator.value_and_grad(self.recipe.function, given, self.updates.names)
        self.carried = {name: outputs[output] for name, output in self.recipe.carried.items()}
        simulator.set_parameters(self.updates.applied(simulator.parameters(), gradients))
        simulator.write_running(outputs)
        simulator.project()
        buffers = {buffer.value.name for buffer in simulator.module.buffers}
        return {name: float(x) for name, x in outputs.items() if x.ndim == 0 and name not in buffers}

    def state(self) -> dict[str, Array]:
        return self.updates.state()

    def restore(self, state: Mapping[str, Array]) -> None:
        self.updates.restore(state)


def _decayed(p: Array, g: Array, o: Mapping[str, float]) -> Array:
    return g + o["weight_decay"] * p if o["weight_decay"] else g


def _adam(p: Array, g: Array, slots: Slots, o: Mapping[str, float], rate: float, t: int) -> Array:
    g = _decayed(p, g, o)
    return _adam_step(p, g, slots, o, rate, t)


def _adam_step(p: Array, g: Array, slots: Slots, o: Mapping[str, float], rate: float, t: int) -> Array:
    mean = _average(slots, "mean", g, o["beta1"])
    square = _average(slots, "square", g * g, o["beta2"])
    size = np.sqrt(square) / np.sqrt(1 - o["beta2"] ** t) + o["eps"]
    return p - rate / (1 - o["beta1"] ** t) * mean / size


def _adamw(p: Array, g: Array, slots: Slots, o: Mapping[str, float], rate: float, t: int) -> Array:
    return _adam_step(p - rate * o["weight_decay"] * p, g, slots, o, rate, t)


def _adamax(p: Array, g: Array, slots: Slots, o: Mapping[str, float], rate: float, t: int) -> Array:
    g = _decayed(p, g, o)
    mean = _average(slots, "mean", g, o["beta1"])
    slots["largest"] = np.maximum(o["beta2"] * slots.get("largest", np.zeros_like(p)), np.abs(g) + o["eps"])
    return p - rate / (1 - o["beta1"] ** t) * mean / slots["largest"]


def _sgd(p: Array, g: Array, slots: Slots, o: Mapping[str, float], rate: float, t: int) -> Array:
    g = _decayed(p, g, o)
    if o["momentum"]:
        slots["momentum"] = g if t == 1 else o["momentum"] * slots["momentum"] + g
        g = g + o["momentum"] * slots["momentum"] if o["nesterov"] else slots["momentum"]
    return p - rate * g


def _rmsprop(p: Array, g: Array, slots: Slots, o: Mapping[str, float], rate: float, t: int) -> Array:
    g = _decayed(p, g, o)
    step = g / (np.sqrt(_average(slots, "square", g * g, o["decay"])) + o["eps"])
    if o["momentum"]:
        slots["momentum"] = o["momentum"] * slots.get("momentum", np.zeros_like(p)) + step
        step = slots["momentum"]
    return p - rate * step


def _average(slots: Slots, name: str, new: Array, decay: float) -> Array:
    """The exponential moving average of what the slot has seen, from zero."""
    slots[name] = decay * slots.get(name, np.zeros_like(new)) + (1 - decay) * new
    return slots[name]


UPDATES: dict[str, Update] = {
    "adam": _adam,
    "adamw": _adamw,
    "adamax": _adamax,
    "sgd": _sgd,
    "rmsprop": _rmsprop,
}
