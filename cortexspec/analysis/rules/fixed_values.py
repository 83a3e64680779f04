"""Parameters, attributes and penalties are settled before the first step: they may not read what moves.

The start of a trained parameter is made of constants, data and draws only: it is read once, before training.
"""

from __future__ import annotations

from collections.abc import Iterator

from cortexspec.analysis.model import Variable
from cortexspec.analysis.rules.facts import Facts
from cortexspec.diagnostics import Diagnostic
from cortexspec.expressions import tree

_WHAT = {"param": "a parameter", "attribute": "an attribute"}


def fixed_values(facts: Facts) -> Iterator[Diagnostic]:
    """CS318."""
    for variable in facts.model.variables.values():
        if variable.kind not in _WHAT:
            continue
        yield from _moving(facts, variable)
        if variable.trainable:
            yield from _trained(facts, variable)
    for penalty in facts.model.penalties:
        yield from _read(
            facts, penalty.value, "a penalty of the circuit reads parameters only", "write it in `train { }`"
        )


def _moving(facts: Facts, variable: Variable) -> Iterator[Diagnostic]:
    for expression in (variable.value, variable.draw):
        message = f"`{_name(variable)}` is {_WHAT[variable.kind]}: it is settled before the first step"
        yield from _read(facts, expression, message, f"write `let {_name(variable)} = ...`")


def _read(facts: Facts, expression: tree.Expression | None, message: str, help: str) -> Iterator[Diagnostic]:
    for path, reference in facts.read_by(expression):
        variable = facts.model.variables.get(path)
        if facts.moves(path) and (variable is None or variable.kind not in _WHAT):  # that one is reported itself
            label = f"`{path}` moves while the circuit runs"
            yield Diagnostic("CS318", message, reference.span, label=label, help=help)
            return


def _trained(facts: Facts, variable: Variable) -> Iterator[Diagnostic]:
    for path, reference in facts.read_by(variable.value):
        found = _through(facts, path, set())
        if found:
            name = _name(variable)
            message = f"`{name}` is trainable, so its value is where training starts; it cannot follow `{found}`, which is trained too"
            yield Diagnostic(
                "CS318", message, reference.span, help=f"leave out `trainable` at `{name}`, or start it at a number"
            )
            return


def _through(facts: Facts, path: str, seen: set[str]) -> str:
    """A trained parameter that a value depends on, or ""."""
    variable = facts.model.variables.get(path)
    if variable is None or path in seen:
        return ""
    seen.add(path)
    if variable.trainable:
        return path
    return next((found for inner, _ in facts.read_by(variable.value) if (found := _through(facts, inner, seen))), "")


def _name(variable: Variable) -> str:
    return variable.path if variable.path.endswith((".weight", ".delay")) else variable.path.rpartition(".")[2]
