"""What a `let` has by name: with `let a = f(order = 2)`, `a.rate` is `f(order = 2, member = "rate")`.

It is a way of writing, put in long form where an experiment's statements are read. A name that the circuit has is the circuit's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar, cast

from cortexspec.expressions import tree
from cortexspec.schema import statement as written

_T = TypeVar("_T")


def members_in_full(body: Sequence[written.Statement]) -> tuple[written.Statement, ...]:
    """The statements with each member of a called `let` as a call of its own; a `let` that is read by members alone is left out."""
    calls = {
        one.name: one.value
        for statement in body
        if isinstance(statement, written.Declare) and statement.kind == "let"
        for one in statement.declarators
        if isinstance(one.value, tree.Call) and isinstance(one.value.function, tree.Name)
    }
    used: set[str] = set()
    changed = [_in_statement(one, calls, used) for one in body]
    return tuple(one for one in changed if not _is_let_of(one, used)) if used else tuple(body)


def _is_let_of(one: written.Statement, names: set[str]) -> bool:
    return isinstance(one, written.Declare) and one.kind == "let" and all(d.name in names for d in one.declarators)


def _in_statement(one: written.Statement, calls: Mapping[str, tree.Call], used: set[str]) -> written.Statement:
    match one:
        case written.Measure():
            return one.model_copy(update={"value": _in_full(one.value, calls, used)})
        case written.Declare(kind="let"):
            declarators = tuple(d.model_copy(update={"value": _in_full(d.value, calls, used)}) for d in one.declarators)
            return one.model_copy(update={"declarators": declarators})
        case _:
            return one


def _in_full(node: _T, calls: Mapping[str, tree.Call], used: set[str]) -> _T:
    """An expression, or what stands in one, with members of calls as calls."""
    match node:
        case tree.Member(owner=tree.Name(name), name=member) if name in calls:
            used.add(name)
            call = calls[name]
            which = tree.Argument(tree.Text(member, span=node.span), "member", span=node.span)
            return cast(_T, replace(call, arguments=(*call.arguments, which), span=node.span))
        case tuple():
            return cast(_T, tuple(_in_full(one, calls, used) for one in cast("tuple[Any, ...]", node)))
        case tree.Node():
            found = {one.name: getattr(node, one.name) for one in fields(node) if one.init and one.name != "span"}
            made = {name: _in_full(value, calls, used) for name, value in found.items()}
            same = all(made[name] is value or made[name] == value for name, value in found.items())
            return node if same else cast(_T, replace(node, **made))
        case _:
            return node
