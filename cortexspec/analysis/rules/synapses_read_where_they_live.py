"""A synapse's output is at its targets, one sum of all that arrives there; a change per pre or per post happens at one end.

Where both ends are one population the values of either end are as many, so that nothing else would tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cortexspec.analysis.model import Projection, Synapse
from cortexspec.analysis.rules.facts import Facts
from cortexspec.diagnostics import Diagnostic, Span
from cortexspec.expressions import tree

_GRADED = (
    "weights do not act on it here: make it an output of the source neuron and connect that, or `send` it in `on pre`"
)
_AT_CONNECTIONS = "declare the state `per connection`, which reads both ends"


def synapses_read_where_they_live(facts: Facts) -> Iterator[Diagnostic]:
    """CS501."""
    for projection in facts.model.projections:
        synapse = projection.synapse
        if synapse is None:
            continue
        living = _living(synapse, projection)
        for path, span in _elsewhere(facts, synapse.output, living, "post"):
            message = (
                f"the output of a synapse is one value a target, but `{_short(path)}` is one a {_WORDS[living[path]]}"
            )
            yield Diagnostic("CS501", message, span or facts.model.variables[path].span, help=_GRADED)
        for update in (*synapse.on_pre, *synapse.on_post):
            mine = synapse.extents.get(update.state)
            if mine not in ("pre", "post"):
                continue
            for path, _ in _elsewhere(facts, update.value, living, mine):
                message = f"`{_short(update.state)}` is one value a {_WORDS[mine]}, but `{_short(path)}` is one a {_WORDS[living[path]]}"
                yield Diagnostic("CS501", message, update.span, help=_AT_CONNECTIONS)


_WORDS: Mapping[str, str] = {"pre": "source", "post": "target", "connection": "connection"}


def _living(synapse: Synapse, projection: Projection) -> Mapping[str, str]:
    """Where each state of a synapse has its values, the weights that it changes among them."""
    plastic = {path: "connection" for path in (projection.weight,) if path is not None and path in synapse.states}
    return {**plastic, **synapse.extents}


def _elsewhere(
    facts: Facts, expression: tree.Expression | None, living: Mapping[str, str], place: str
) -> Iterator[tuple[str, Span | None]]:
    """The first variable that lives at another place, read itself or through a `let`, and where the expression names it."""
    seen: set[str] = set()
    stack = [(path, reference.span) for path, reference in facts.read_by(expression)]
    while stack:
        path, span = stack.pop()
        if living.get(path, place) != place:
            yield path, span
            return
        variable = facts.model.variables.get(path)
        if path not in living and path not in seen and variable is not None and variable.kind == "let":
            stack += [(one, span) for one, _ in facts.read_by(variable.value)]
        seen.add(path)


def _short(path: str) -> str:
    return path.rpartition(".")[2]
