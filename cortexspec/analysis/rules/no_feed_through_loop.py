"""Outputs that read an input (feed-through) are ordered variable by variable; a loop of them has no order."""

from __future__ import annotations

from collections.abc import Iterator

from cortexspec.analysis.model import Projection
from cortexspec.analysis.rules.facts import Facts
from cortexspec.diagnostics import Diagnostic, Note
from cortexspec.expressions import tree


def no_feed_through_loop(facts: Facts) -> Iterator[Diagnostic]:
    """CS508. One loop is reported once."""
    done: set[str] = set()
    for path in facts.model.variables:
        loop = _loop(facts, path, done)
        if loop:
            names = " -> ".join(f"`{one}`" for one in [*reversed(loop), loop[-1]])
            first = facts.model.variables[loop[-1]]
            spans = [facts.model.variables[one].span for one in loop[:-1] if one in facts.model.variables]
            notes = tuple(Note("and this", span) for span in spans if span is not None)
            yield Diagnostic(
                "CS508",
                f"within one step each of these waits for the next: {names}",
                first.span,
                help="give one of the connections a `delay`, or read a state instead",
                notes=notes[:3],
            )


def _loop(facts: Facts, start: str, done: set[str]) -> list[str]:
    """A loop that is reached from `start`, or []. An explicit stack: circuits may be long."""
    if start in done:
        return []
    path: list[str] = []
    on_path: set[str] = set()
    stack: list[tuple[str, Iterator[str]]] = [(start, iter(_needs(facts, start)))]
    path.append(start)
    on_path.add(start)
    while stack:
        node, following = stack[-1]
        for other in following:
            if other in on_path:
                loop = path[path.index(other) :]
                done.update(path)
                return loop
            if other not in done:
                stack.append((other, iter(_needs(facts, other))))
                path.append(other)
                on_path.add(other)
                break
        else:
            stack.pop()
            path.pop()
            on_path.discard(node)
            done.add(node)
    return []


def _needs(facts: Facts, path: str) -> list[str]:
    """The variables whose value of this very step a variable waits for."""
    variable = facts.model.variables.get(path)
    if variable is None or variable.kind == "state":
        return []
    if variable.kind == "input":
        return [source for projection in facts.arriving.get(path, ()) for source in _sources(facts, projection)]
    return [one for one, _ in facts.read_by(variable.value)]


def _sources(facts: Facts, projection: Projection) -> list[str]:
    if projection.delay is not None and not _is_zero(projection.delay):
        return []
    if projection.read_new or (projection.synapse is not None and projection.synapse.states):
        return []
    source = projection.source
    return list(facts.members(source.path)) if isinstance(source, tree.Reference) else []


def _is_zero(delay: tree.Expression) -> bool:
    return isinstance(delay, tree.Number) and delay.value == 0
