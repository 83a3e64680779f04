"""Training with optax. The same updates as every other backend's trainer, to rounding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from cortexspec.contracts.backend import Recipe
from cortexspec.contracts.training import learning_rate, optimizer_options

if TYPE_CHECKING:
    from cortexspec_jax.simulator import Circuit, Simulator

Array = np.ndarray[Any, Any]

# Our name of each slot of an optimiser's state -> optax's field.
SLOTS = {
    "adam": {"mean": "mu", "square": "nu"},
    "adamw": {"mean": "mu", "square": "nu"},
    "adamax": {"mean": "mu", "largest": "nu"},
    "sgd": {"momentum": "trace"},
    "rmsprop": {"square": "nu", "momentum": "trace"},
}


def make_optimizer(recipe: Recipe) -> optax.GradientTransformation:
    """The update before it is multiplied by minus the learning rate. Raises SpecError CS804."""
    o = optimizer_options(recipe)
    decay = [optax.add_decayed_weights(o["weight_decay"])] if o["weight_decay"] else []
    momentum = [optax.trace(o["momentum"], nesterov=bool(o.get("nesterov")))] if o.get("momentum") else []
    match recipe.optimizer:
        case "adam":
            return optax.chain(*decay, optax.scale_by_adam(o["beta1"], o["beta2"], o["eps"]))
        case "adamw":
            return optax.chain(optax.scale_by_adam(o["beta1"], o["beta2"], o["eps"]), *decay)
        case "adamax":
            return optax.chain(*decay, optax.scale_by_adamax(o["beta1"], o["beta2"], o["eps"]))
        case "rmsprop":
            return optax.chain(*decay, optax.scale_by_rms(o["decay"], o["eps"], eps_in_sqrt=False), *momentum)
        case _:
            return optax.chain(optax.identity(), *decay, *momentum)


def _update_of(circuit: Circuit, recipe: Recipe, names: tuple[str, ...]) -> Callable[..., Any]:
    """The update of one text and recipe, made once: JAX compiles it once, however many seeds of a network are trained.

    The rate is an argument of it, so schedules share it.
    """
    options = tuple(sorted(optimizer_options(recipe).items()))
    carried = tuple(sorted(recipe.carried.items()))
    key = (recipe.function, names, recipe.clip, recipe.optimizer, options, carried, frozenset(circuit.running))
    if key not in circuit.updates:
        circuit.updates[key] = _made_update(circuit, recipe, names)
    return circuit.updates[key]


def _made_update(circuit: Circuit, recipe: Recipe, names: tuple[str, ...]) -> Callable[..., Any]:
    """(parameters, the optimiser's state, other arguments, patterns, rate) -> those anew, running buffers, scalars, what is carried."""
    optimizer = make_optimizer(recipe)

    def update(
        params: dict[str, Any], state: Any, others: dict[str, Any], patterns: dict[str, Any], rate: Any
    ) -> tuple[Any, ...]:
        leaves = {name: params[name] for name in names}
        fixed = {name: value for name, value in params.items() if name not in leaves}
        outputs, gradients = circuit.outputs_and_gradients(recipe.function, names, "loss")(leaves, {**fixed, **others})
        if recipe.clip is not None:
            norm = jnp.sqrt(sum(jnp.sum(g * g) for g in gradients.values()))
            factor = jnp.where(norm > recipe.clip, recipe.clip / norm, 1.0)
            gradients = jax.tree.map(lambda g: g * factor, gradients)
        updates, state = optimizer.update(gradients, state, leaves)
        params = {**params, **{name: leaves[name] - rate * updates[name] for name in names}}
        if "project" in circuit.table:
            function, taken, output_names = circuit.table["project"]
            params |= dict(zip(output_names, function(*({**patterns, **params}[name] for name in taken)), strict=True))
        buffers = {name: value for name, value in outputs.items() if name in circuit.running}
        scalars = {name: value for name, value in outputs.items() if value.ndim == 0 and name not in circuit.running}
        carried = {name: outputs[output] for name, output in recipe.carried.items()}
        return params, state, buffers, scalars, carried

    return update


class Trainer:
    """Owns the optimiser's state on the device. A step is one jitted function of parameters, state, buffers and inputs."""

    def __init__(self, simulator: Simulator, recipe: Recipe):
        self.simulator, self.recipe = simulator, recipe
        trainable = [p.value.name for p in simulator.bound.module.params if p.trainable]
        self.names = tuple(recipe.trainable or trainable)
        self.optimizer = make_optimizer(recipe)
        self.steps = 0
        self.carried: dict[str, Any] = {}
        with simulator.module.scope():
            self._state: Any = self.optimizer.init({name: simulator.params[name] for name in self.names})
            self._step = jax.jit(_update_of(simulator.module, recipe, self.names))

    def step(self, inputs: Mapping[str, Array]) -> dict[str, float]:
        """One update; writes running buffers back, projects constrained parameters, returns the function's scalars."""
        simulator, circuit = self.simulator, self.simulator.module
        names = circuit.table[self.recipe.function][1]
        given = {**self.carried, **inputs}
        arguments = circuit.arguments(self.recipe.function, given, simulator.params, simulator.state)
        others = {n: x for n, x in zip(names, arguments, strict=True) if n not in simulator.params}
        rate = np.asarray(learning_rate(self.recipe, self.steps), circuit.dtype)
        held = circuit.table["project"][1] if "project" in circuit.table else ()
        patterns = {name: simulator.state[name] for name in held if name in simulator.state}
        with circuit.scope(arguments):
            found = self._step(simulator.params, self._state, others, patterns, rate)
        simulator.params, self._state, buffers, scalars, self.carried = found
        simulator.state = {**simulator.state, **buffers}
        self.steps += 1
        return {name: float(value) for name, value in jax.device_get(scalars).items()}

    def state(self) -> dict[str, Array]:
        """Everything that a resume needs beside parameters and buffers: `steps`, and `SLOT/PARAMETER` for each slot."""
        state: dict[str, Array] = {"steps": np.asarray(self.steps)}
        for part in self._state:
            for slot, key in SLOTS[self.recipe.optimizer].items():
                for name, value in getattr(part, key, {}).items():
                    state[f"{slot}/{name}"] = np.array(value)
        return state

    def restore(self, state: Mapping[str, Array]) -> None:
        self.steps = int(state["steps"])
        parts: list[Any] = []
        with self.simulator.module.scope():
            for part in self._state:
                for slot, key in SLOTS[self.recipe.optimizer].items():
                    if hasattr(part, key):
                        kept = getattr(part, key)
                        found = {
                            n: jnp.asarray(np.asarray(state.get(f"{slot}/{n}", x)), x.dtype) for n, x in kept.items()
                        }
                        part = part._replace(**{key: found})
                if "count" in getattr(part, "_fields", ()):
                    part = part._replace(count=jnp.asarray(self.steps, part.count.dtype))
                parts.append(part)
        self._state = tuple(parts)
