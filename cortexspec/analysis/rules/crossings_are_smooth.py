"""A neuron that fires when its voltage crosses a threshold needs a voltage with a slope.

The rate of upward crossings is that of Rice: it grows with the variance of v', which is infinite where v itself jumps or is driven
by white noise. Source: Rice 1944, doi:10.1002/j.1538-7305.1944.tb00874.x.
"""

from __future__ import annotations

from collections.abc import Iterator

from cortexspec.analysis.model import Equation, Population
from cortexspec.analysis.rules.facts import Facts
from cortexspec.analysis.rules.impulses_enter_linearly import is_train
from cortexspec.diagnostics import Diagnostic, Note
from cortexspec.expressions import tree


def crossings_are_smooth(facts: Facts) -> Iterator[Diagnostic]:
    """CS515, a warning: simulated on a grid the rate is finite, and grows as dt shrinks."""
    for population in facts.model.populations:
        spike = population.spike
        if spike is None or spike.crosses is None:
            continue
        read = set(_reached(facts, spike.condition)) | set(_reached(facts, spike.crosses))
        for equation in population.equations:
            if equation.order == 1 and equation.state in read:
                yield from _rough(facts, population, equation)


def _rough(facts: Facts, population: Population, equation: Equation) -> Iterator[Diagnostic]:
    name = equation.state.rpartition(".")[2]
    reached = set(_reached(facts, equation.right)) | set(_reached(facts, equation.left))
    help = "put a synapse with a time constant in between, or reset at a level: `spike when v > θ { ... }`"
    span = population.spike.span if population.spike is not None else population.span
    for port in population.ports:
        for one in facts.arriving.get(port, ()) if port in reached else ():
            if is_train(facts, one.source) and (one.synapse is None or not one.synapse.states):
                message = f"`{name}` jumps with each spike of `{one.path}`, so the rate of its crossings diverges"
                notes = (Note("the crossing", span),) if span is not None else ()
                yield Diagnostic("CS515", message, one.span or span, help=help, notes=notes, severity="warning")
    for noise in population.noises:
        if noise in reached:
            message = f"`{name}` is driven by white noise, so the rate of its crossings diverges"
            yield Diagnostic(
                "CS515", message, span, help="filter the noise by an equation of its own", severity="warning"
            )


def _reached(facts: Facts, expression: tree.Expression | None) -> Iterator[str]:
    """States, ports and noises that an expression reads, directly or through a `let`."""
    seen: set[str] = set()
    queue = [path for path, _ in facts.read_by(expression)]
    while queue:
        path = queue.pop()
        if path in seen:
            continue
        seen.add(path)
        variable = facts.model.variables.get(path)
        if variable is not None and variable.kind not in ("state", "input", "noise", "param"):
            queue += [inner for inner, _ in facts.read_by(variable.value)]
    yield from seen
