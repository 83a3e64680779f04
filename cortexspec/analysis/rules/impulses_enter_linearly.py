"""A spike train is a sum of impulses: in an equation it may only be added, since the square of an impulse means nothing."""

from __future__ import annotations

from collections.abc import Iterator

from cortexspec.analysis.model import Equation
from cortexspec.analysis.rules.facts import Facts, references
from cortexspec.diagnostics import Diagnostic
from cortexspec.expressions import tree
from cortexspec.expressions.linear import NotLinear, linear_part


def impulses_enter_linearly(facts: Facts) -> Iterator[Diagnostic]:
    """CS510."""
    for population in facts.model.populations:
        for port in population.ports:
            trains = [
                one for one in facts.arriving.get(port, ()) if is_train(facts, one.source) and one.synapse is None
            ]
            if trains:
                yield from _check(facts, population.equations, population.lets, port)
    for projection in facts.model.projections:
        if projection.synapse is not None and is_train(facts, projection.source):
            yield from _check(facts, projection.synapse.equations, projection.synapse.lets, projection.synapse.input)


def is_train(facts: Facts, source: tree.Expression) -> bool:
    """Whether a source is a spike train, or a group with one."""
    if not isinstance(source, tree.Reference):
        return False
    paths = facts.members(source.path)
    return any(path.endswith(".spike") and _undefined(facts, path) for path in paths)


def _undefined(facts: Facts, path: str) -> bool:
    variable = facts.model.variables.get(path)
    return variable is not None and variable.value is None


def _check(facts: Facts, equations: tuple[Equation, ...], lets: tuple[str, ...], port: str) -> Iterator[Diagnostic]:
    def is_port(node: tree.Expression) -> bool:
        return isinstance(node, tree.Reference) and node.path == port

    name = port.rpartition(".")[2]
    expressions = [side for equation in equations for side in (equation.left, equation.right)]
    for path in lets:
        variable = facts.model.variables.get(path)
        if variable is not None and variable.value is not None:
            expressions.append(variable.value)
    for expression in expressions:
        if not any(is_port(node) for node in references(expression)):
            continue
        try:
            linear_part(expression, is_port)
        except NotLinear as error:
            message = f"spikes arrive at `{name}`: it may only be added, or multiplied by what is no spike"
            yield Diagnostic("CS510", message, error.span or expression.span, help="put a synapse in between")
