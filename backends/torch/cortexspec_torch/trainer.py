"""Training with torch.optim. The same updates as every other backend's trainer, to rounding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cortexspec.contracts.backend import Recipe
from cortexspec.contracts.training import clip_factor, learning_rate, optimizer_options

if TYPE_CHECKING:
    from cortexspec_torch.simulator import Simulator

Array = np.ndarray[Any, Any]

# Our name of each slot of an optimiser's state -> torch's.
SLOTS = {
    "adam": {"mean": "exp_avg", "square": "exp_avg_sq"},
    "adamw": {"mean": "exp_avg", "square": "exp_avg_sq"},
    "adamax": {"mean": "exp_avg", "largest": "exp_inf"},
    "sgd": {"momentum": "momentum_buffer"},
    "rmsprop": {"square": "square_avg", "momentum": "momentum_buffer"},
}


def make_optimizer(recipe: Recipe, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """Raises SpecError CS804 for an optimiser or an option that no backend has."""
    o = optimizer_options(recipe)
    groups: Any = parameters
    # One kernel for all parameters: with many small ones the loop over them would cost more than the arithmetic.
    fused = all(p.dtype in (torch.float32, torch.float64) for p in parameters)
    match recipe.optimizer:
        case "adam":
            betas = (o["beta1"], o["beta2"])
            return torch.optim.Adam(groups, o["lr"], betas, o["eps"], o["weight_decay"], fused=fused)
        case "adamw":
            betas = (o["beta1"], o["beta2"])
            return torch.optim.AdamW(groups, o["lr"], betas, o["eps"], o["weight_decay"], fused=fused)
        case "adamax":
            return torch.optim.Adamax(groups, o["lr"], (o["beta1"], o["beta2"]), o["eps"], o["weight_decay"])
        case "rmsprop":
            return torch.optim.RMSprop(groups, o["lr"], o["decay"], o["eps"], o["weight_decay"], momentum=o["momentum"])
        case _:
            nesterov = bool(o["nesterov"])
            return torch.optim.SGD(
                groups, o["lr"], o["momentum"], weight_decay=o["weight_decay"], nesterov=nesterov, fused=fused
            )


class Trainer:
    """Owns the optimiser's state on the device."""

    def __init__(self, simulator: Simulator, recipe: Recipe):
        self.simulator, self.recipe = simulator, recipe
        trainable = [p.value.name for p in simulator.bound.module.params if p.trainable]
        self.names = list(recipe.trainable or trainable)
        self.parameters = [simulator.module.parameter(name) for name in self.names]
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        self.optimizer = make_optimizer(recipe, self.parameters)
        self.steps = 0
        self.carried: dict[str, torch.Tensor] = {}

    def step(self, inputs: Mapping[str, Array]) -> dict[str, float]:
        """One update; writes running buffers back, projects constrained parameters, returns the function's scalars."""
        module, recipe = self.simulator.module, self.recipe
        given = {**self.carried, **self.simulator.tensors(recipe.function, inputs)}
        outputs, gradients = module.outputs_and_gradients(recipe.function, given, self.names, "loss")
        # Copied: a captured program writes its outputs to the same place at the next step.
        self.carried = {name: outputs[output].clone() for name, output in recipe.carried.items()}
        self.apply_gradients(gradients)
        module.write_running(outputs)
        module.project()
        return {name: float(value) for name, value in outputs.items() if value.ndim == 0 and not module.is_buffer(name)}

    def apply_gradients(self, gradients: list[torch.Tensor]) -> None:
        """Clips by the global norm, then one step of the optimiser."""
        if self.recipe.clip is not None:
            norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
            factor = clip_factor(float(norm), self.recipe.clip)
            gradients = [g * factor for g in gradients] if factor < 1 else gradients
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, self.steps)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            # A fused optimiser goes through the memory of both side by side, whatever the order of their axes.
            parameter.grad = (
                gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)
            )
        self.optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None
        self.steps += 1

    def state(self) -> dict[str, Array]:
        """Everything that a resume needs beside parameters and buffers: `steps`, and `SLOT/PARAMETER` for each slot."""
        state: dict[str, Array] = {"steps": np.asarray(self.steps)}
        for name, parameter in zip(self.names, self.parameters, strict=True):
            kept = self.optimizer.state.get(parameter, {})
            for slot, key in SLOTS[self.recipe.optimizer].items():
                if isinstance(kept.get(key), torch.Tensor):
                    state[f"{slot}/{name}"] = kept[key].detach().cpu().numpy().copy()
        return state

    def restore(self, state: Mapping[str, Array]) -> None:
        self.steps = int(state["steps"])
        self.optimizer.state.clear()
        for name, parameter in zip(self.names, self.parameters, strict=True):
            kept: dict[str, Any] = {}
            for slot, key in SLOTS[self.recipe.optimizer].items():
                if f"{slot}/{name}" in state:
                    array = np.array(state[f"{slot}/{name}"])
                    kept[key] = torch.as_tensor(array, dtype=parameter.dtype, device=parameter.device)
            if self.steps and self.recipe.optimizer != "sgd":
                kept["step"] = torch.tensor(float(self.steps), dtype=torch.float32)
            if kept:
                self.optimizer.state[parameter] = kept
