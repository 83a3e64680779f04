"""A circuit at each stage of its way, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from cortexspec.ir.printer import print_module
from cortexspec.language.print_spec import print_spec
from cortexspec.runtime.api import compile, source_of
from cortexspec.runtime.compile import elaborated, lowered
from cortexspec.runtime.print_model import print_model
from cortexspec.runtime.quantities import coherent
from cortexspec.schema.dump import plain_data
from cortexspec.units import DIMENSIONLESS

Stage = Literal["spec", "model", "ir", "optimized", "python"]


def show_stage(
    file: str | Path,
    stage: Stage,
    *,
    circuit: str = "",
    arguments: Mapping[str, Any] | None = None,
    experiment: str = "",
    variant: str = "",
    backend: str = "interpreter",
    dtype: Literal["float32", "float64"] = "float32",
    solver: str = "",
    dt: str = "",
    duration: str = "",
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> str:
    """The text of one stage. The last two need a step and a duration: those of the experiment, else 0.1 ms (or 1) and 100 steps.

    Raises: SpecError with everything that is wrong.
    """
    source = source_of(file)
    if stage == "spec":
        return print_spec(source.spec)
    model = elaborated(source, circuit or None, arguments or {}, experiment or None, variant or None)
    if stage == "model":
        return print_model(model)
    if stage == "ir":
        return print_module(lowered(model, sources=source.sources))
    usual = "1" if model.time_unit == DIMENSIONLESS else "0.1 ms"
    step = coherent(dt or usual, model.time_unit, "dt")
    simulation = compile(
        source.spec,
        circuit or None,
        arguments,
        experiment=experiment or None,
        variant=variant or None,
        backend=backend,
        dtype=dtype,
        solver=solver or None,
        dt=(dt or None) if experiment else step,
        duration=duration or (None if experiment else 100 * step),
        shapes=shapes,
    )
    return print_module(simulation.main.module) if stage == "optimized" else simulation.program


def spec_data(file: str | Path) -> dict[str, Any]:
    """The Spec of a file as plain data: what its JSON form holds. Raises: SpecError with everything that is wrong."""
    return plain_data(source_of(file).spec)
