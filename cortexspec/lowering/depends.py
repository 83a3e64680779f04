"""What a variable of a Model reads, directly and through others."""

from __future__ import annotations

from cortexspec.analysis.model import Model
from cortexspec.expressions.linear import children
from cortexspec.expressions.tree import Expression, Name, Reference

_OF_THE_STEP = frozenset({"t", "dt"})


def reads_step(model: Model, path: str) -> bool:
    """Whether a value depends on t, dt or on what arrives at a port of a population."""
    ports = {port for population in model.populations for port in population.ports}
    return _reads(model, path, ports, set())


def _reads(model: Model, path: str, ports: set[str], seen: set[str]) -> bool:
    if path in _OF_THE_STEP or path in ports:
        return True
    variable = model.variables.get(path)
    if variable is None or path in seen or variable.kind == "state":
        return False
    seen.add(path)
    read = [expression for expression in (variable.value, variable.draw) if expression is not None]
    if any(_names_a_word(expression) for expression in read):
        return True
    return any(_reads(model, other, ports, seen) for expression in read for other in references(expression))


def _names_a_word(expression: Expression) -> bool:
    if isinstance(expression, Name) and expression.name in _OF_THE_STEP:
        return True
    return any(_names_a_word(child) for child in children(expression))


def references(expression: Expression) -> list[str]:
    """The dotted paths that an expression names, in order."""
    found = [expression.path] if isinstance(expression, Reference) else []
    for child in children(expression):
        found += references(child)
    return found


def reads_state(model: Model, path: str) -> bool:
    """Whether a value depends on a state, directly or through others or a group's members."""
    states = {state for population in model.populations for state in population.states}
    members = tuple(f"{group.path}." for group in model.groups)
    seen: set[str] = set()
    queue = [path]
    while queue:
        one = queue.pop()
        if one in states or one.startswith(members):
            return True
        variable = model.variables.get(one)
        if variable is None or one in seen:
            continue
        seen.add(one)
        for expression in (variable.value, variable.draw):
            queue += references(expression) if expression is not None else []
    return False
