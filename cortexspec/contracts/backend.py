"""What a backend signs: it gets a bound module, makes a Python program of it, and runs exactly that program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from cortexspec.ir.module import Module

Array = np.ndarray[Any, Any]
PassStep = str | tuple[str, Mapping[str, Any]]  # a pass by its kebab-case name, with options where it has some

# What tidies up after a pass that wrote lines anew, in the default pipeline and in a backend's own.
CLEAN: tuple[PassStep, ...] = ("fold-constants", "share-common", "hoist", "share-common", "remove-dead")


@dataclass(frozen=True, slots=True)
class Bound:
    """A module with its sizes, its parameters' raw starting values and its buffers. Arrays have axes in `module.layout` order.

    `sizes` binds every symbol; the length of the time axis among them ("time"). The sample axis may be left out: it is
    taken from the inputs at each call.
    """

    module: Module
    sizes: Mapping[str, int]
    params: Mapping[str, Array]
    buffers: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Options:
    dtype: Literal["float32", "float64"] = "float32"
    device: str = "cpu"
    compile: bool = False  # torch.compile where the backend has it
    gradient: Literal["auto", "native", "ir"] = "auto"
    math: Literal["fast", "exact"] = "fast"
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Backend(Protocol):
    """Found through entry points in group `cortexspec.backends`; made without arguments.

    `pipeline`: the passes of its programs; empty for the default ones. Sizes are bound when they run.

    A backend may also have `prefers_adjoint(function: Function) -> bool`: whether `gradient = auto` means the IR's own adjoint of
    this function. Without it, `auto` means the framework's autograd. And `adjoint_pipeline: tuple[PassStep, ...]`:
    passes that only what its adjoint is derived from goes through, after those.
    """

    name: str
    pipeline: tuple[PassStep, ...]
    adaptive_solvers: tuple[str, ...]

    def generate(self, bound: Bound, options: Options) -> str:
        """The program as text. Raises SpecError CS801 where an operation has no lowering."""
        ...

    def load(self, bound: Bound, options: Options) -> Simulator:
        """Executes the text of `generate` and wraps it."""
        ...


def adjoint_pipeline(backend: Backend) -> tuple[PassStep, ...]:
    """The passes that only what an adjoint is derived from goes through; none where the backend names none."""
    return getattr(backend, "adjoint_pipeline", ())


class Simulator(Protocol):
    """A loaded program. Arrays cross this border as NumPy, axes in the module's layout order, parameters raw."""

    program: str
    module: Any  # torch: an nn.Module; jax: pure init and apply; interpreter: the IR module

    def parameters(self) -> dict[str, Array]: ...
    def set_parameters(self, raw: Mapping[str, Array]) -> None: ...
    def buffers(self) -> dict[str, Array]: ...
    def set_buffers(self, buffers: Mapping[str, Array]) -> None: ...

    def call(self, function: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs one function of the module; parameters and buffers are the simulator's own. Keys are `output_names`."""
        ...

    def value_and_grad(
        self, function: str, inputs: Mapping[str, Array], wrt: Sequence[str], output: str = "loss"
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """All outputs, and the gradient of the scalar `output` with respect to the raw parameters (or inputs) `wrt`."""
        ...

    def trainer(self, recipe: Recipe) -> Trainer: ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train: the same updates on every backend.

    `function` gives "loss" (and running buffers under their names); `learning_rates` has one factor a step (the schedule, precomputed);
    `clip` is the largest global gradient norm. `carried`: outputs by the names of the inputs that have their values at the next
    step, unless that step is given others.
    """

    optimizer: str = "adam"
    options: Mapping[str, float] = field(default_factory=lambda: {"lr": 1e-3})
    learning_rates: Sequence[float] = ()
    clip: float | None = None
    function: str = "loss"
    trainable: Sequence[str] = ()
    carried: Mapping[str, str] = field(default_factory=dict[str, str])


class Trainer(Protocol):
    """Owns the optimiser's state on the device."""

    def step(self, inputs: Mapping[str, Array]) -> dict[str, float]:
        """One update; writes running buffers back, projects constrained parameters, returns the scalars of the function."""
        ...

    def state(self) -> dict[str, Array]:
        """Everything that a resume needs beside parameters and buffers; what is carried is given anew at the first step."""
        ...

    def restore(self, state: Mapping[str, Array]) -> None: ...
