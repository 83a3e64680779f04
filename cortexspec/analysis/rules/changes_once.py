"""A state has one equation or one update, and a `start` once: two would contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

from cortexspec.analysis.model import Equation, Update
from cortexspec.analysis.rules.facts import Facts
from cortexspec.diagnostics import Diagnostic, Note, Span


def changes_once(facts: Facts) -> Iterator[Diagnostic]:
    """CS317."""
    for population in facts.model.populations:
        yield from _twice([*population.equations, *population.updates])
        if population.spike is not None:
            yield from _twice([*population.spike.resets])
    for projection in facts.model.projections:
        if projection.synapse is not None:
            yield from _twice([*projection.synapse.equations])
            yield from _twice([*projection.synapse.on_pre])
            yield from _twice([*projection.synapse.on_post])
    started: dict[str, Span | None] = {}
    for start in facts.model.starts:
        for path in facts.members(start.target):
            if path in started:
                yield _clash(f"`{path}` is started twice", start.span, started[path])
                break
            started[path] = start.span


def _twice(changes: list[Equation | Update]) -> Iterator[Diagnostic]:
    first: dict[str, Equation | Update] = {}
    for change in changes:
        other = first.setdefault(change.state, change)
        if other is change:
            continue
        name = change.state.rpartition(".")[2]
        words = {_word(other), _word(change)}
        what = f"two {words.pop()}s" if len(words) == 1 else "an equation and an update"
        yield _clash(f"`{name}` has {what}", change.span, other.span)


def _word(change: Equation | Update) -> str:
    return "equation" if isinstance(change, Equation) else "update"


def _clash(message: str, span: Span | None, other: Span | None) -> Diagnostic:
    notes = (Note("the first one", other),) if other is not None else ()
    return Diagnostic("CS317", message, span, notes=notes)
