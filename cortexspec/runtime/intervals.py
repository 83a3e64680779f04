"""Whether the intervals of a circuit's updates (`x <- e every T`) are whole numbers of steps."""

from __future__ import annotations

from dataclasses import replace

from cortexspec.analysis.model import Model
from cortexspec.contracts.translate import translate
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.expressions.tree import Expression
from cortexspec.lowering.declarations import Declarations
from cortexspec.lowering.frame import Frame, Here, Plan
from cortexspec.runtime.quantities import whole_steps


def check_intervals(model: Model, dt: float) -> None:
    """Raises: SpecError CS916 for an interval that is no whole number of steps, or none at all."""
    for population in model.populations:
        for update in population.updates:
            length = None if update.every is None else _known(model, update.every)
            if update.every is None or length is None:
                continue
            try:
                steps = whole_steps(length, dt, f"the interval of `{update.state}`")
            except SpecError as error:
                span = update.every.span or update.span
                raise SpecError([replace(one, span=span) for one in error.diagnostics]) from None
            if steps < 1:
                message = f"the interval of `{update.state}` must be at least one step"
                raise SpecError([Diagnostic("CS916", message, update.every.span or update.span)])


def _known(model: Model, interval: Expression) -> float | None:
    """Its number of coherent units, where it depends on no parameter."""
    reported: list[Diagnostic] = []
    frame = Frame(
        Plan(model, Declarations.of(model, (), frozenset()), reported.append, False, {}, frozenset()), "start"
    )
    operand = translate(interval, Here(frame, ()), frame.build)
    return None if operand is None or operand.literal is None else float(operand.literal)
