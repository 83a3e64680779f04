"""`read = new` steps its source first; a cycle of those has no first."""

from __future__ import annotations

from collections.abc import Iterator

from cortexspec.analysis.rules.facts import Facts
from cortexspec.diagnostics import Diagnostic, Span
from cortexspec.expressions import tree


def no_read_new_cycle(facts: Facts) -> Iterator[Diagnostic]:
    """CS508."""
    owners = {path: p.path for p in facts.model.populations for path in (*p.states, *p.outputs, *p.lets, *p.ports)}
    edges: dict[str, dict[str, Span | None]] = {}
    for projection in facts.model.projections:
        if not projection.read_new or not isinstance(projection.source, tree.Reference):
            continue
        for source in facts.members(projection.source.path):
            for target in facts.members(projection.target):
                if source in owners and target in owners:
                    edges.setdefault(owners[target], {})[owners[source]] = projection.span
    for start in edges:
        cycle = _cycle(edges, start)
        if cycle and start == min(cycle):
            names = " -> ".join(f"`{name}`" for name in [*cycle, start])
            message = f"each of these is to be stepped before the other: {names}"
            yield Diagnostic(
                "CS508", message, edges[start][cycle[1] if len(cycle) > 1 else start], help="leave out one `read = new`"
            )


def _cycle(edges: dict[str, dict[str, Span | None]], start: str) -> list[str]:
    """The populations on a way from `start` back to it."""
    stack: list[list[str]] = [[start]]
    seen: set[str] = set()
    while stack:
        way = stack.pop()
        for following in edges.get(way[-1], {}):
            if following == start:
                return way
            if following not in seen:
                seen.add(following)
                stack.append([*way, following])
    return []
