"""A case as programs of the IR without any pass, with arrays for everything that they read, and what they give in the interpreter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from cortexspec.analysis.model import Model
from cortexspec.contracts.dataset import Places
from cortexspec.interpreter.interpreter import run
from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Layout, Module, Value
from cortexspec.ir.op import Array
from cortexspec.ir.ops import write
from cortexspec.ir.types import Type
from cortexspec.passes.differentiate import differentiate
from cortexspec.runtime.api import with_plugins
from cortexspec.runtime.compile import Source, Wanted, elaborated, lowered, program_module
from cortexspec.runtime.data_files import DataFiles
from cortexspec.runtime.start import started
from cortexspec.testing.cases import Case
from cortexspec.testing.randomness import with_draws_shown
from cortexspec.testing.reference import parsed, reference_folder, reference_text
from cortexspec.units import DIMENSIONLESS

Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class Outcome:
    """What a program gave, each array with its axes in the order of `layout`."""

    values: Arrays
    gradients: Arrays
    layout: Layout


class Prepared:
    """`module` has one function, `rollout`: states after each step, outputs after the last one. No pass has run on it.

    `given` has an array for each of its inputs, axes in the module's layout order, time of the case's `steps`.
    """

    def __init__(self, case: Case):
        self.case = case
        self.model: Model = model_of(case)
        plain = lowered(self.model, streams=case.streams, training=case.training)
        start = started(self.model, plain, {**plain.sizes, **case.data_sizes}, case.seed, dt=case.dt)
        sizes, arrays = start.sizes, start.arrays
        record = tuple(state.value.name for state in plain.states)
        wanted = Wanted(record=record, final=tuple(self.model.outputs), training=case.training)
        solver = "euler" if case.solver == "steps" else case.solver
        made = program_module(self.model, wanted, solver=solver, dt=case.dt, streams=case.streams)
        rollout = made.function("rollout_training" if case.training else "rollout")
        rollout = replace(with_draws_shown(rollout) if case.shown else rollout, name="rollout")
        self.module = replace(made, functions=MappingProxyType({"rollout": rollout}))
        trials = case.trial_numbers or tuple(range(2, case.trials + 2))
        self.sizes: Mapping[str, int] = {**sizes, "trial": len(trials), "time": case.steps}
        self.given: Arrays = {
            **arrays.raw,
            **arrays.buffers,
            **self._inputs(rollout),
            "seed": np.array(case.seed),
            "trial": np.array(trials),
        }

    def _inputs(self, rollout: Function) -> dict[str, Array]:
        rng = np.random.default_rng(self.case.seed)
        found: dict[str, Array] = {}
        declared = {entry.value.name for entry in self.module.inputs}
        for value in rollout.inputs:
            if value.name in declared:
                shape = shape_of(value.type, self.sizes, self.module.layout)
                found[value.name] = rng.normal(size=shape) * self.case.amplitude.get(value.name, 1.0)
        return found

    @property
    def rollout(self) -> Function:
        return self.module.function("rollout")

    def given_for(self, function: Function, steps: int) -> dict[str, Array]:
        """The inputs of a function, streams cut to so many steps."""
        return {
            value.name: first_steps(value, self.given[value.name], self.module.layout, steps)
            for value in function.inputs
        }

    @cached_property
    def values(self) -> Arrays:
        """The outputs of `rollout` in the interpreter, in float64."""
        return run(self.rollout, self.given_for(self.rollout, self.case.steps), self.sizes, self.module.layout)

    @cached_property
    def short_sizes(self) -> Mapping[str, int]:
        return {**self.sizes, "time": self.case.gradient_steps}

    @cached_property
    def loss(self) -> Module:
        """The function `loss`: all that `rollout` gives, and one number that every recorded element takes part in, each in a way of
        its own.
        """
        rollout = self.rollout
        scales = {name: largest(self.values[name]) or 1.0 for name in rollout.output_names}
        function = loss_of(rollout, scales)
        return replace(self.module, functions=MappingProxyType({"loss": function}))

    @cached_property
    def wrt(self) -> tuple[str, ...]:
        """The trainable parameters that the loss reads."""
        trainable = {param.value.name for param in self.module.params if param.trainable}
        return tuple(value.name for value in self.loss.function("loss").inputs if value.name in trainable)

    @cached_property
    def gradients(self) -> Arrays:
        """The gradient of `loss` by each of `wrt`, from the IR's own adjoint in the interpreter, in float64."""
        if not self.wrt:
            return {}
        function = differentiate(self.loss.function("loss"), self.wrt)
        found = run(function, self.given_for(function, self.case.gradient_steps), self.short_sizes, self.module.layout)
        return {name: found[f"grad:{name}"] for name in self.wrt}


def model_of(case: Case) -> Model:
    """Raises: SpecError."""
    named = "\n" not in case.spec
    text = (reference_text(case.spec) if named else case.spec) + case.items
    data = DataFiles.of(Places(reference_folder(case.spec)), ()) if named else None
    if not case.edits:
        return elaborated(with_plugins(Source(parsed(text), data=data)), case.circuit, case.arguments)
    edits = "\n".join(case.edits)
    edited = parsed(f"{text}\nexperiment parity of {case.circuit} {{\n{edits}\n}}\n")
    return elaborated(with_plugins(Source(edited, data=data)), None, case.arguments, "parity")


@cache
def prepare(case_key: _Key) -> Prepared:
    return Prepared(case_key.case)


@dataclass(frozen=True)
class _Key:
    """A case by what it says: mappings inside it have no hash."""

    text: str
    case: Any

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.text == other.text


def prepared(case: Case) -> Prepared:
    """The same object for the same case, so that the interpreter runs it once. Raises: SpecError."""
    return prepare(_Key(repr(case), case))


def loss_of(rollout: Function, scales: Mapping[str, float], name: str = "loss") -> Function:
    """The rollout's outputs, and as `loss` the mean of w*x + x^2/2 over each output x, in units of its scale; w is a sine of the
    element's places.
    """
    build = Builder(Names.of(rollout))
    build.lines = list(rollout.body)
    total: Value | None = None
    for output, value in zip(rollout.output_names, rollout.outputs, strict=True):
        if value.type.dtype != "float":
            continue
        x = write.mul(build, value, write.const(build, 1.0 / scales[output], DIMENSIONLESS / value.type.unit))
        term = write.add(
            build, write.mul(build, x, _weights(build, value)), write.scale(build, write.mul(build, x, x), 0.5)
        )
        term = write.mean(build, term, [axis.name for axis in term.type.axes])
        total = term if total is None else write.add(build, total, term)
    assert total is not None, "a rollout gives at least one number"
    return build.function(name, rollout.inputs, [*rollout.outputs, total], [*rollout.output_names, "loss"])


def _weights(build: Builder, value: Value) -> Value:
    weight = write.const(build, 1.0)
    for i, axis in enumerate(value.type.axes):
        place = write.cast(build, write.iota(build, axis), "float")
        weight = write.mul(build, weight, write.sin(build, write.add(build, place, write.const(build, 0.7 + i))))
    return weight


def shape_of(type_: Type, sizes: Mapping[str, int], layout: Layout) -> tuple[int, ...]:
    """Axes in the layout's order."""
    return tuple(type_.axis(name).size.evaluate(sizes) for name in layout.sort(type_.names))


def first_steps(value: Value, array: Array, layout: Layout, steps: int) -> Array:
    """The array of an input, cut to so many steps along time where it has that axis."""
    names = layout.sort(value.type.names)
    index = tuple(slice(0, steps) if value.type.axis(name).role == "time" else slice(None) for name in names)
    return np.asarray(array)[index]


def arranged(type_: Type, array: Array, before: Layout, after: Layout) -> Array:
    """The array with its axes in the order of another layout."""
    have: Sequence[str] = before.sort(type_.names)
    return np.asarray(array).transpose([have.index(name) for name in after.sort(type_.names)])


def largest(array: Array) -> float:
    """The largest magnitude; 0 for no element."""
    return float(np.max(np.abs(array), initial=0.0))
