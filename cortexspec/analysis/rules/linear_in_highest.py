"""An equation is linear in the one highest derivative, so that it can be solved for it: `v'^2 = -v` says no single v'."""

from __future__ import annotations

from collections.abc import Iterator

from cortexspec.analysis.model import Equation
from cortexspec.analysis.rules.facts import Facts
from cortexspec.diagnostics import Diagnostic
from cortexspec.expressions import tree
from cortexspec.expressions.linear import NotLinear, solve


def linear_in_highest(facts: Facts) -> Iterator[Diagnostic]:
    """CS509."""
    for population in facts.model.populations:
        yield from _equations(population.equations)
    for projection in facts.model.projections:
        if projection.synapse is not None:
            yield from _equations(projection.synapse.equations)


def _equations(equations: tuple[Equation, ...]) -> Iterator[Diagnostic]:
    for equation in equations:
        highest = equation.state + "'" * equation.order
        name = highest.rpartition(".")[2]
        try:
            solve(equation.left, equation.right, lambda node, path=highest: _is(node, path))
        except NotLinear as error:
            if error.span is None and error.args == ("not linear",):
                message = f"`{name}` drops out of its own equation"
            else:
                message = f"the equation is not linear in `{name}`, its highest derivative"
            yield Diagnostic("CS509", message, error.span or equation.span, help=f"bring it to the form `a*{name} = b`")


def _is(node: tree.Expression, path: str) -> bool:
    return isinstance(node, tree.Reference) and node.path == path
