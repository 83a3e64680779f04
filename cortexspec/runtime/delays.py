"""Delays in whole steps: rounded once dt is known, with as many slots as the longest has steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cortexspec.analysis.model import Model, Projection
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.interpreter import run
from cortexspec.ir.module import Module
from cortexspec.ir.op import Array
from cortexspec.lowering.delays import delayed, delays_each, slots_of, steps_of
from cortexspec.passes.remove_dead import only

_MOST_STEPS = np.iinfo(np.int32).max - 1  # a ring has a place more


@dataclass(frozen=True, slots=True)
class Delays:
    """`sizes` has the slots of each delayed projection, `arrays` its `NAME.delay.steps`, [] or [edge]."""

    sizes: dict[str, int] = field(default_factory=dict[str, int])
    arrays: dict[str, Array] = field(default_factory=dict[str, Array])


def rounded_delays(
    model: Model,
    module: Module,
    sizes: Mapping[str, int],
    given: Mapping[str, Array],
    dt: float | None,
    sources: Mapping[str, str] | None = None,
) -> Delays:
    """`given` has the seed and the drawn connections.

    Raises: SpecError CS916 for a delay that is negative, infinite, of more steps than can be counted, or not 0 and yet no step, and where
    dt is not known.
    """
    found = Delays()
    function = module.functions.get("delays")
    if function is None:
        return found
    if dt is None:
        help = 'compile(..., dt = "0.1 ms")'
        raise SpecError([Diagnostic("CS916", "a delay is rounded to steps, whose length is not known", help=help)])
    types = dict(zip(function.output_names, function.outputs, strict=True))
    for projection in delayed(model):
        path = f"{projection.path}.delay"
        value = np.asarray(run(only(function, path), given, sizes, module.layout)[path], float)
        if delays_each(model, projection):
            axes = module.layout.sort(types[path].type.names)
            value = _of_edges(model, projection, value, axes, sizes, given)
        steps = _steps(projection, value, dt, model, sources or {})
        found.arrays[steps_of(projection)] = steps
        found.sizes[slots_of(projection)] = max(1, int(steps.max(initial=0)))
    return found


def _of_edges(
    model: Model,
    projection: Projection,
    value: Array,
    axes: tuple[str, ...],
    sizes: Mapping[str, int],
    given: Mapping[str, Array],
) -> Array:
    """One delay for each connection, from one for each, for each pair, or for each target or source."""
    if axes == (f"{projection.path}.edge",):
        return value
    post, pre = given[f"{projection.path}.post"], given[f"{projection.path}.pre"]
    written = model.variables[f"{projection.path}.delay"]
    rows = [name for name in projection.target_axes if _own(name, "target", written.type.names)]
    columns = [name for name in projection.source_axes if _own(name, "source", written.type.names)]
    order = [_own(name, "target", written.type.names) for name in rows]
    order += [_own(name, "source", written.type.names) for name in columns]
    array = value.transpose([axes.index(name) for name in order])
    shape = array.shape
    array = array.reshape(int(np.prod(shape[: len(rows)], dtype=int)), -1)
    return array[post if rows else np.zeros_like(post), pre if columns else np.zeros_like(pre)]


def _own(name: str, side: str, axes: frozenset[str]) -> str:
    """What an axis of one side is called in the delay; empty where the delay has it not."""
    return next((one for one in (f"{name}_{side}", name) if one in axes), "")


def _steps(projection: Projection, value: Array, dt: float, model: Model, sources: Mapping[str, str]) -> Array:
    steps = np.round(value / dt)
    bad = ~np.isfinite(value) | (value < 0) | ((value != 0) & (steps == 0)) | (steps > _MOST_STEPS)
    if bad.any():
        worst = float(np.atleast_1d(value)[np.argmax(np.atleast_1d(bad))])
        unit = model.time_unit.name() if model.time_unit.name() != "1" else "steps"
        message = f"a delay of `{projection.path}` is {worst:g} {unit}"
        help = "a delay is 0, or at least half a step: shorten dt, or cut the distribution off below"
        if worst > dt and np.isfinite(worst):
            message += f", which is more steps of {dt:g} {unit} than can be counted"
            help = f"the longest is {_MOST_STEPS * dt:g} {unit}: cut the distribution off above"
        elif worst > 0 and np.isfinite(worst):
            message += f", which rounds to no step of {dt:g} {unit}"
        span = projection.delay.span if projection.delay is not None else None
        raise SpecError([Diagnostic("CS916", message, span or projection.span, help=help)], dict(sources))
    return steps.astype(np.int32)


__all__ = ["Delays", "rounded_delays"]
