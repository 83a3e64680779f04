"""Spikes that no gradient passes: training across one would silently learn nothing."""

from __future__ import annotations

from collections.abc import Sequence

from cortexspec.analysis.model import Model
from cortexspec.diagnostics import Diagnostic, Note


def without_surrogate(model: Model, notes: Sequence[Note] = ()) -> list[Diagnostic]:
    """CS320 for each population that fires by a condition and has no surrogate."""
    found: list[Diagnostic] = []
    for population in model.populations:
        spike = population.spike
        if spike is not None and spike.condition is not None and spike.surrogate is None:
            message = f"the gradient of `{population.neuron}` is zero: its `spike` has no `surrogate`, and this trains across it"
            place = spike.condition.span or spike.span
            help = "write `surrogate fast_sigmoid(...)` after it"
            found.append(Diagnostic("CS320", message, place, help=help, notes=tuple(notes)))
    return found
