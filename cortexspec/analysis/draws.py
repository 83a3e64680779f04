"""Whether what an experiment measures hangs on draws: a value that does is one of many, whatever `vary` says of seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

from cortexspec.analysis.library import Library
from cortexspec.analysis.model import ExperimentModel, Model
from cortexspec.contracts.measure import AnalysisEntry
from cortexspec.expressions import tree
from cortexspec.expressions.linear import children

_NO_EXPRESSIONS = frozenset({"type", "span", "entries", "data", "whole", "opaque", "unread", "dropout"})
_WRITTEN_OUT = "from_matrix"  # the one built-in rule with wiring of its own that draws nothing


def hangs_on_draws(experiment: ExperimentModel, model: Model, library: Library) -> bool:
    """Whether one of its measures is read along a run, or from the connections, and anything in the circuit is drawn."""
    lets = dict(experiment.lets) | {one.name: one.value for one in experiment.measures}
    return draws(model, library) and any(_reads_a_run(one.value, lets, model, library) for one in experiment.measures)


def draws(model: Model, library: Library) -> bool:
    """Whether a start, a parameter, a connection, a spike or a change of a state is drawn, or there is noise."""
    drawing = {*library.distributions, *(name for name, one in library.functions.items() if one.draws)}
    rules = {name for name, rule in library.rules.items() if not rule.dense and rule.connect is None} - {_WRITTEN_OUT}
    if any(one.noises for one in model.populations) or any(one.draw is not None for one in model.variables.values()):
        return True
    called = set(_called(model))
    return bool(called & drawing) or any(_name_of(one.rule) in rules for one in model.projections)


def _reads_a_run(
    node: tree.Expression,
    lets: Mapping[str, tree.Expression],
    model: Model,
    library: Library,
    open: frozenset[str] = frozenset(),
) -> bool:
    match node:
        case tree.Call(function=tree.Name(name)) if _without_connections(name, library):
            return False
        case tree.Call(function=tree.Name("count")):
            return False
        case tree.Name(name) | tree.Reference(name) if name in lets and name not in open:
            return _reads_a_run(lets[name], lets, model, library, open | {name})
        case tree.Name(path) | tree.Reference(path):
            known = model.variables.get(path)
            return path.endswith((".spike", ".arriving")) or (known is not None and known.kind != "constant")
        case _:
            return any(_reads_a_run(child, lets, model, library, open) for child in children(node))


def _without_connections(name: str, library: Library) -> bool:
    entry = library.measures.get(name)
    return isinstance(entry, AnalysisEntry) and not entry.wired


def _name_of(rule: tree.Expression | None) -> str:
    name = rule.function if isinstance(rule, tree.Call) else rule
    return name.name if isinstance(name, tree.Name) else ""


def _called(thing: Any) -> Iterator[str]:
    """The names of all functions that the expressions of a model call."""
    if isinstance(thing, tree.Call) and isinstance(thing.function, tree.Name):
        yield thing.function.name
    inner: Iterable[Any] = ()
    if isinstance(thing, Mapping):
        inner = cast("Mapping[Any, Any]", thing).values()
    elif isinstance(thing, tuple):
        inner = cast("tuple[Any, ...]", thing)
    elif is_dataclass(thing):
        inner = (getattr(thing, field.name) for field in fields(thing) if field.name not in _NO_EXPRESSIONS)
    for one in inner:
        yield from _called(one)
