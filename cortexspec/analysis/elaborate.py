"""Spec to Model: the one way in. Every mistake of a circuit is found in one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cortexspec.analysis.build_model import ModelBuilder
from cortexspec.analysis.expand_templates import Expander, TooMuch
from cortexspec.analysis.infer_types import TIME, Typing
from cortexspec.analysis.library import Library
from cortexspec.analysis.model import Model
from cortexspec.analysis.report import Report, suggestion
from cortexspec.diagnostics import Diagnostic
from cortexspec.schema import statement as written
from cortexspec.schema.spec import Spec, Template
from cortexspec.units import DIMENSIONLESS, Unit


def elaborate(
    spec: Spec,
    circuit: str | None = None,
    arguments: Mapping[str, Any] | Sequence[written.Argument] = (),
    experiment: str | None = None,
    variant: str | None = None,
    sources: Mapping[str, Spec] | None = None,
) -> tuple[Model | None, tuple[Diagnostic, ...]]:
    """The model of one circuit, and what is wrong. The model is None where there is an error."""
    report = Report()
    library = Library().with_templates({item.name: item for item in spec.items if isinstance(item, Template)})
    template = library.templates.get(circuit or "")
    if template is None:
        known = [name for name, one in library.templates.items() if one.kind == "circuit"]
        report.add("CS301", f"there is no circuit `{circuit}`", help=suggestion(circuit or "", known))
        return None, report.diagnostics
    given = tuple(arguments) if not isinstance(arguments, Mapping) else _arguments(arguments)
    return model_of(template, given, library)


def model_of(
    template: Template, arguments: Sequence[written.Argument], library: Library, time_unit: Unit | None = None
) -> tuple[Model | None, tuple[Diagnostic, ...]]:
    """With time as a quantity or, where that does not fit, as a number of steps; `time_unit` where it is known."""
    best: tuple[Model | None, tuple[Diagnostic, ...]] | None = None
    for unit in (TIME, DIMENSIONLESS) if time_unit is None else (time_unit,):
        report = Report()
        model = _model(template, arguments, library, report, unit)
        found = (None if report.failed else model), report.diagnostics
        if not report.failed:
            return found
        if best is None or len(found[1]) < len(best[1]):
            best = found
    assert best is not None
    return best


def _model(
    template: Template, arguments: Sequence[written.Argument], library: Library, report: Report, unit: Unit
) -> Model | None:
    expander = Expander(library, report)
    try:
        expander.circuit(template, arguments)
        return ModelBuilder(Typing(expander, unit)).build()
    except TooMuch:
        return None
    except RecursionError:
        report.add("CS506", f"`{template.name}` is nested too deeply", template.span)
        return None


def _arguments(given: Mapping[str, Any]) -> tuple[written.Argument, ...]:
    return tuple(written.Argument(name=name, value=value) for name, value in given.items())
