"""What a Model may say and this version does not lower: one diagnostic each, at the construct, never a silent drop."""

from __future__ import annotations

from collections.abc import Iterator

from cortexspec import library
from cortexspec.analysis.model import Model, Projection
from cortexspec.diagnostics import Diagnostic, Span
from cortexspec.lowering import entries
from cortexspec.lowering.delays import is_delayed
from cortexspec.lowering.depends import reads_step
from cortexspec.lowering.edges import has_edges, rule_arguments, rule_name, source_path
from cortexspec.lowering.sending import not_yet
from cortexspec.lowering.trains import sends_spikes

NO_FOLDER = "this spec is no file, so there is no folder that its data could be read from"
_WITH_CHANCE = ("fixed_indegree", "fixed_outdegree")


def unsupported(model: Model) -> Iterator[Diagnostic]:
    """In the order of the model."""
    for span in model.unread.values():
        yield Diagnostic("CS901", NO_FOLDER, span, help="save the spec in a file beside its data, and load that")
    for name, span in model.opaque.items():
        if name not in model.unread:
            yield _not_yet(
                f"`{name}`, which only a plugin that is not installed or another experiment could tell, is", span
            )
    for projection in model.projections:
        yield from _in_projection(model, projection)


def _not_yet(what: str, span: Span | None) -> Diagnostic:
    return Diagnostic("CS700", f"{what} not supported yet", span)


def _in_projection(model: Model, projection: Projection) -> Iterator[Diagnostic]:
    name = rule_name(projection.rule)
    span = (projection.rule.span if projection.rule is not None else None) or projection.span
    known = entries.rules(model)
    entry = known.get(name)
    if entry is None or (name not in library.connection_rules and entry.connect is None):
        yield _not_yet(f"the connection rule `{name}` is", span)
    elif has_edges(model, projection) and projection.around:
        yield _not_yet("drawn wiring inside an array of parts is", span)
    arguments = dict(rule_arguments(projection.rule, known))
    if "chance" in arguments and (name not in _WITH_CHANCE or "multapses" not in arguments):
        yield _not_yet("`chance` but in a fixed degree with `multapses = true` is", arguments["chance"].span or span)
    if is_delayed(projection) and projection.delay is not None:
        place = projection.delay.span or projection.span
        variable = model.variables.get(f"{projection.path}.delay")
        if variable is not None and variable.trainable:
            yield _not_yet("training a delay is", place)
        if projection.around:
            yield _not_yet("a delay inside an array of parts is", place)
        if projection.read_new:
            yield _not_yet("a delay with `read = new` is", place)
        if reads_step(model, source_path(projection)) and not sends_spikes(model, projection):
            yield _not_yet("a delay of what depends on time or on what arrives is", place)
    if projection.synapse is not None:
        yield from not_yet(model, projection, projection.synapse)
