"""An input without a default must be connected; one that lost its connections with a removed population is 0."""

from __future__ import annotations

from collections.abc import Iterator

from cortexspec.analysis.rules.facts import Facts
from cortexspec.diagnostics import Diagnostic, Note


def inputs_are_connected(facts: Facts) -> Iterator[Diagnostic]:
    """CS503."""
    if facts.model.removed or facts.incomplete:
        return
    for port, population in facts.ports.items():
        variable = facts.model.variables.get(port)
        if variable is None or variable.value is not None or port in facts.arriving:
            continue
        name = port.rpartition(".")[2]
        notes = (Note("declared here, without a default", variable.span),) if variable.span is not None else ()
        yield Diagnostic(
            "CS503",
            f"nothing is connected to the input `{name}` of `{population.path}`",
            population.span or variable.span,
            help=f"write `connect ... -> {port}`, or a default: `input {name} = ...`",
            notes=notes,
        )
