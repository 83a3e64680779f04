"""Spec to Model: the one way in. Every mistake of a circuit is found in one run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cortexspec import library as built_in
from cortexspec.analysis.apply_variant import Cell, Merged, cell_of, fold_own_edits, merge_like, outside_names
from cortexspec.analysis.budget import within_budget
from cortexspec.analysis.build_model import ModelBuilder
from cortexspec.analysis.count import Counts, count
from cortexspec.analysis.degrees import impossible_degrees
from cortexspec.analysis.expand_templates import Expander, TooMuch, placeholders
from cortexspec.analysis.experiments import Around, ExperimentChecker
from cortexspec.analysis.infer_types import TIME, Typing
from cortexspec.analysis.library import Brought, Library
from cortexspec.analysis.model import ExperimentModel, Model
from cortexspec.analysis.plugins import entries_of, plugin_items, say_what_is_missing
from cortexspec.analysis.report import Report, suggestion
from cortexspec.contracts.data_file import DataReader
from cortexspec.diagnostics import Diagnostic, Note
from cortexspec.expressions import tree
from cortexspec.expressions.print import print_expression
from cortexspec.schema import statement as written
from cortexspec.schema.spec import Experiment, Spec, Template, Use
from cortexspec.units import DIMENSIONLESS, Unit, UnitError, unit_of

Arguments = Mapping[str, Any]
Result = tuple[Model | None, tuple[Diagnostic, ...]]


def elaborate(
    spec: Spec,
    circuit: str | None = None,
    arguments: Arguments | Sequence[written.Argument] | None = None,
    experiment: str | None = None,
    variant: str | None = None,
    sources: Mapping[str, Spec] | None = None,
    plugins: Sequence[Brought] = (),
    time_unit: Unit | None = None,
    data: DataReader | None = None,
) -> Result:
    """The model of one circuit, and what is wrong; None where there is an error.

    `circuit` may be left out where the spec has one, or with an `experiment`, whose edits and arguments then hold.
    `arguments` are template arguments, or values of dotted paths, as text, numbers or expressions. `sources` are the
    specs of files that `use "file.cortex"` names, `plugins` what the installed ones bring that the spec uses. Without an
    experiment, time is what fits the equations, unless `time_unit` says what it is. `data` reads the files that the spec names; without it
    they are not judged.
    """
    report = Report()
    library = library_of(spec, sources or {}, report, plugins, data)
    given: Arguments = arguments if isinstance(arguments, Mapping) else {}
    if experiment is not None:
        return _of_experiment(spec, library, report, experiment, variant or "", circuit, given)
    template = circuit_of(library, circuit, report)
    if template is None:
        return None, report.diagnostics
    positional = tuple(arguments) if arguments is not None and not isinstance(arguments, Mapping) else ()
    merged = Merged("", template.name, positional, (), template.span)
    return _of_cell(spec, library, report, merged, "", given, time_unit)


def elaborate_experiment(
    spec: Spec,
    name: str,
    variant: str | None = None,
    arguments: Arguments | None = None,
    sources: Mapping[str, Spec] | None = None,
    plugins: Sequence[Brought] = (),
    data: DataReader | None = None,
) -> tuple[ExperimentModel | None, tuple[Diagnostic, ...]]:
    """What one experiment asks of its circuit, under one variant, and what is wrong in it."""
    report = Report()
    library = library_of(spec, sources or {}, report, plugins, data)
    around = around_of(spec, Report())
    merged = merge_like(around.experiments, name, report) if name in around.experiments else None
    if name not in around.experiments:
        report.add("CS301", f"there is no experiment `{name}`", help=suggestion(name, around.experiments))
    if merged is None or circuit_of(library, merged.circuit, report) is None:
        return None, report.diagnostics
    point = [_as_edit(key, value, library.templates[merged.circuit]) for key, value in (arguments or {}).items()]
    found, _ = check_cell(spec, library, merged, variant or "", around, report, point)
    return (None if report.failed else found), report.diagnostics


def check(
    spec: Spec,
    sources: Mapping[str, Spec] | None = None,
    plugins: Sequence[Brought] = (),
    data: DataReader | None = None,
) -> tuple[Diagnostic, ...]:
    """Everything that is wrong in a spec: every item by itself, every circuit, every experiment with every variant."""
    report = Report()
    library = library_of(spec, sources or {}, report, plugins, data)
    around = around_of(spec, report)
    own = {item.name for item in spec.items if isinstance(item, Template)}
    used = {merged.circuit for merged in around.merged.values()}
    built: dict[object, Built] = {}
    for name in own:
        template = library.templates[name]
        if template.kind == "circuit":
            if name not in used or all(formal.default is not None for formal in template.formals):
                cell = Cell("", "base", name, placeholders(template), library.templates, ())
                model, found = model_of_cell(cell, library, None)
                report.put(*found)
                if model is not None and all(formal.default is not None for formal in template.formals):
                    report.put(*impossible_degrees(model))
        else:
            report.put(*check_alone(template, library))
    for merged in around.merged.values():
        if circuit_of(library, merged.circuit, report) is None:
            continue
        variants = [one.name for one in merged.body if isinstance(one, written.Variant)]
        before = report.errors
        found, _ = check_cell(spec, library, merged, "", around, report, built=built)
        for variant in variants:
            check_cell(spec, library, merged, variant, around, report, built=built)
        if found is not None and report.errors == before:
            check_corners(spec, library, merged, found, around, report, built)
    return report.diagnostics


def check_corners(
    spec: Spec,
    library: Library,
    merged: Merged,
    experiment: ExperimentModel,
    around: Around,
    report: Report,
    built: dict[object, Built],
) -> None:
    """The ends of every line of `vary`, the other lines at their first values: sizes that fit in the base may clash there."""
    lines = [(names, rows) for names, rows in experiment.vary if rows and not {"seed", "wiring"} & {*names}]
    template = library.templates[merged.circuit]
    for names, rows in lines:
        for row in _ends(rows):
            values = {name: value for others, (first, *_) in lines for name, value in zip(others, first, strict=True)}
            values |= dict(zip(names, row, strict=True))
            point = [_as_edit(name, value, template) for name, value in values.items()]
            inner = Report()
            check_cell(spec, library, merged, "", around, inner, point, built)
            said = ", ".join(f"{name} = {print_expression(value)}" for name, value in zip(names, row, strict=True))
            note = Note(f"this is so at `{said}`", row[0].span)
            report.put(
                *(replace(one, notes=(*one.notes, note)) for one in inner.diagnostics if one.severity == "error")
            )


def _ends(rows: Sequence[tuple[tree.Expression, ...]]) -> list[tuple[tree.Expression, ...]]:
    """The first and the last row, and those with the smallest and the largest number."""
    numbers = [row for row in rows if isinstance(row[0], tree.Number)]
    extremes = [pick(numbers, key=_first_number) for pick in (min, max)] if numbers else []
    return list(dict.fromkeys([rows[0], rows[-1], *extremes]))


def _first_number(row: tuple[tree.Expression, ...]) -> float:
    assert isinstance(row[0], tree.Number)
    return row[0].value


def check_alone(template: Template, library: Library) -> tuple[Diagnostic, ...]:
    """A neuron, synapse or function by itself: it passes where time as a quantity or as a number of steps fits."""
    best: tuple[Diagnostic, ...] | None = None
    for unit in (TIME, DIMENSIONLESS):
        report = Report()
        expander = Expander(library, report)
        try:
            expander.alone(template)
            ModelBuilder(Typing(expander, unit)).build()
        except TooMuch:
            pass
        except RecursionError:
            report.add("CS506", f"`{template.name}` is nested too deeply", template.span)
        if not report.failed:
            return report.diagnostics
        if best is None or len(report.diagnostics) < len(best):
            best = report.diagnostics
    return best or ()


def around_of(spec: Spec, report: Report) -> Around:
    experiments: dict[str, Experiment] = {}
    for item in spec.items:
        if isinstance(item, Experiment):
            first = experiments.setdefault(item.name, item)
            if first is not item:
                notes = [Note("the first one", first.span)] if first.span is not None else []
                report.add("CS302", f"there are two experiments `{item.name}`", item.span, notes=notes)
    found = {name: merge_like(experiments, name, report) for name in experiments}
    return Around(experiments, {name: merged for name, merged in found.items() if merged is not None})


def check_cell(
    spec: Spec,
    library: Library,
    merged: Merged,
    variant: str,
    around: Around,
    report: Report,
    point: Sequence[written.Statement] = (),
    built: dict[object, Built] | None = None,
) -> tuple[ExperimentModel | None, Model | None]:
    """One cell of an experiment, its circuit and what is said about it, with every mistake in `report`."""
    cell = cell_of(spec, library, merged, variant, report, point)
    if cell is None:
        return None, None
    best: tuple[Report, ExperimentModel | None, Model | None] | None = None
    time_unit = time_unit_of(merged)
    if time_unit is not None and _other_time(cell, library, time_unit, built):
        mistakes = [one for one in _built(cell, library, time_unit, built or {})[2] if one.severity == "error"]
        report.put(_wrong_time(merged, time_unit, mistakes[:1]))
        return None, None
    for unit in (TIME, DIMENSIONLESS) if time_unit is None else (time_unit,):
        typing, model, diagnostics = _built(cell, library, unit, built if built is not None else {})
        inner = Report()
        inner.put(*diagnostics)
        found: ExperimentModel | None = None
        if typing is not None:
            typing.expander.report = inner
            found = ExperimentChecker(merged, cell, typing, model, around, inner).check()
        if best is None or inner.errors < best[0].errors:
            best = (inner, found, model)
        if not inner.failed:
            break
    assert best is not None
    report.put(*best[0].diagnostics)
    if best[2] is not None:
        report.put(*impossible_degrees(best[2]))
    return best[1], best[2]


def _other_time(cell: Cell, library: Library, unit: Unit, built: dict[object, Built] | None) -> bool:
    """Whether the circuit is right only where time is what the experiment says it is not."""
    known = built if built is not None else {}
    if _built(cell, library, unit, known)[1] is not None:
        return False
    other = DIMENSIONLESS if unit == TIME else TIME
    return _built(cell, library, other, known)[1] is not None


def _wrong_time(merged: Merged, unit: Unit, mistakes: Sequence[Diagnostic]) -> Diagnostic:
    """The diagnostic for `duration = 100` where the equations have a time constant in ms, or the other way round."""
    settings = [
        s for one in merged.body if isinstance(one, written.Section) and one.kind == "simulate" for s in one.body
    ]
    named = {s.left.name: s for s in settings if isinstance(s, written.Equation) and isinstance(s.left, tree.Name)}
    place = next((named[name] for name in ("dt", "duration") if name in named), None)
    is_, was = (
        ("a quantity, such as 0.1 ms", "a number of steps")
        if unit == DIMENSIONLESS
        else ("a number of steps", "a quantity")
    )
    message = f"in `{merged.circuit}` time is {is_}, but `{merged.name}` counts it as {was}"
    wanted, found = ("ms", "a pure number") if unit == DIMENSIONLESS else ("a pure number", "ms")
    help = "write `dt = 0.1 ms`" if unit == DIMENSIONLESS else "write a time constant into the equations, or `dt = 1`"
    notes = tuple(Note(f"{one.message}, where time is {was}", one.span) for one in mistakes if one.span is not None)
    return Diagnostic(
        "CS401",
        message,
        place.right.span if place is not None else merged.span,
        f"expected {wanted}, found {found}",
        help,
        notes,
    )


Built = tuple[Typing | None, Model | None, tuple[Diagnostic, ...]]


def _built(cell: Cell, library: Library, unit: Unit, known: dict[object, Built]) -> Built:
    """A cell's circuit typed and built; cells that differ only in what is done with the circuit share it."""
    outside = tuple(outside_names(cell.body))
    key = (
        outside,
        cell.circuit,
        cell.arguments,
        frozenset(cell.templates.items()),
        tuple(cell.removed),
        tuple(cell.cuts.items()),
        unit,
    )
    if key not in known:
        report = Report()
        typing = typed_cell(cell, library, unit, report)
        model = build(typing, cell) if typing is not None else None
        known[key] = (typing, None if report.failed else model, report.diagnostics)
    return known[key]


def library_of(
    spec: Spec,
    sources: Mapping[str, Spec],
    report: Report,
    plugins: Sequence[Brought] = (),
    data: DataReader | None = None,
) -> Library:
    """Everything that the spec may name. Items of one name are a mistake."""
    uses = tuple(name for item in spec.items if isinstance(item, Use) for name in item.names)
    installed = {one.plugin for one in plugins}
    missing = tuple(name for name in dict.fromkeys(uses) if name not in built_in.groups and name not in installed)
    templates: dict[str, Template] = plugin_items(plugins, report)
    for item in _items(spec, sources, report):
        if not isinstance(item, Template):
            continue
        first = templates.setdefault(item.name, item)
        if first is not item:
            notes = [Note("the first one", first.span)] if first.span is not None else []
            report.add("CS302", f"there are two items `{item.name}`", item.span, notes=notes)
    say_what_is_missing(spec, missing, report)
    library = Library(missing_plugins=missing, uses=uses, data=data).with_templates(templates)
    library = library.with_entries(entries_of(plugins, library, report))
    folded = {name: fold_own_edits(template, library, report) for name, template in templates.items()}
    return library.with_templates(folded)


def _items(spec: Spec, sources: Mapping[str, Spec], report: Report, seen: tuple[str, ...] = ()) -> Iterable[object]:
    for item in spec.items:
        if not isinstance(item, Use) or not item.file:
            yield item
            continue
        if item.file in seen:
            report.add("CS305", f'"{item.file}" uses itself', item.span)
        elif item.file in sources:
            inner = _items(sources[item.file], sources, report, (*seen, item.file))
            yield from (one for one in inner if isinstance(one, Template))
        else:
            report.add("CS905", f'the file "{item.file}" is not there', item.span)


def circuit_of(library: Library, name: str | None, report: Report) -> Template | None:
    """The circuit of a name, or the only one there is. Reports: CS301."""
    circuits = [one for one in library.templates.values() if one.kind == "circuit"]
    if name is None:
        if len(circuits) == 1:
            return circuits[0]
        known = ", ".join(f"`{one.name}`" for one in circuits)
        report.add("CS301", "say which circuit", help=f"there are {known}" if circuits else "the spec has none")
        return None
    found = library.templates.get(name)
    if found is None or found.kind != "circuit":
        report.add("CS301", f"there is no circuit `{name}`", help=suggestion(name, [one.name for one in circuits]))
        return None
    return found


def _of_experiment(
    spec: Spec, library: Library, report: Report, name: str, variant: str, circuit: str | None, arguments: Arguments
) -> Result:
    experiments = experiments_of(spec)
    if name not in experiments:
        report.add("CS301", f"there is no experiment `{name}`", help=suggestion(name, experiments))
        return None, report.diagnostics
    merged = merge_like(experiments, name, report)
    if merged is None or circuit_of(library, merged.circuit, report) is None:
        return None, report.diagnostics
    if circuit is not None and circuit != merged.circuit:
        report.add("CS301", f"`{name}` is an experiment of `{merged.circuit}`, not of `{circuit}`")
        return None, report.diagnostics
    return _of_cell(spec, library, report, merged, variant, arguments, time_unit_of(merged))


def experiments_of(spec: Spec) -> dict[str, Experiment]:
    return {item.name: item for item in spec.items if isinstance(item, Experiment)}


def _of_cell(
    spec: Spec, library: Library, report: Report, merged: Merged, variant: str, arguments: Arguments, unit: Unit | None
) -> Result:
    template = library.templates[merged.circuit]
    point = [_as_edit(name, value, template) for name, value in arguments.items()]
    cell = cell_of(spec, library, merged, variant, report, point)
    if cell is None or report.failed:
        return None, report.diagnostics
    model, found = model_of_cell(cell, library, unit)
    report.put(*found)
    return (None if report.failed else model), report.diagnostics


def model_of_cell(cell: Cell, library: Library, time_unit: Unit | None) -> Result:
    """With time as a quantity or, where that does not fit, as a number of steps; `time_unit` where it is known."""
    best: Result | None = None
    for unit in (TIME, DIMENSIONLESS) if time_unit is None else (time_unit,):
        report = Report()
        typing = typed_cell(cell, library, unit, report)
        model = build(typing, cell) if typing is not None else None
        found = (None if report.failed else model), report.diagnostics
        if not report.failed and model is not None and cell.whole is not None:
            whole, mistakes = model_of_cell(cell.whole, library, unit)
            return replace(model, whole=None if mistakes and whole is None else whole), report.diagnostics
        if not report.failed:
            return found
        if best is None or len(found[1]) < len(best[1]):
            best = found
    assert best is not None
    return best


def typed_cell(cell: Cell, library: Library, unit: Unit, report: Report) -> Typing | None:
    """A cell's circuit expanded, ready to be typed. None where it is too large to go on, or a budget cannot be met."""
    guess = bool(library.missing_plugins)  # what they bring is not counted
    solved = within_budget(cell, lambda tried, told: _counted(tried, library, unit, told), report, guess)
    if solved is None:
        return None
    cell = solved
    expander = Expander(library.with_templates(cell.templates), report)
    expander.removed = cell.removed
    template = cell.templates[cell.circuit]
    try:
        expander.circuit(template, cell.arguments, outside_names(cell.body), cell.span)
    except TooMuch:
        return None
    except RecursionError:
        report.add("CS506", f"`{template.name}` is nested too deeply", template.span)
        return None
    return Typing(expander, unit)


def _counted(cell: Cell, library: Library, unit: Unit, report: Report) -> Counts | None:
    """What is trained in a cell's circuit; None after a mistake in it, which is told."""
    inner = Report()
    typing = typed_cell(cell, library, unit, inner)
    model = build(typing, cell) if typing is not None else None
    if model is None or inner.failed:
        report.put(*inner.diagnostics)
        return None
    return count(model)


def build(typing: Typing, cell: Cell) -> Model | None:
    try:
        return ModelBuilder(typing, cell.cuts).build()
    except TooMuch:
        return None
    except RecursionError:
        typing.report.add("CS506", f"`{cell.circuit}` is nested too deeply", cell.templates[cell.circuit].span)
        return None


def time_unit_of(merged: Merged) -> Unit | None:
    """T as the experiment's `dt` or `duration` shows it. None where neither is a plain number."""
    for one in merged.body:
        if not isinstance(one, written.Section) or one.kind != "simulate":
            continue
        settings = {
            s.left.name: s.right for s in one.body if isinstance(s, written.Equation) and isinstance(s.left, tree.Name)
        }
        for name in ("dt", "duration"):
            value = settings.get(name)
            if isinstance(value, tree.Number):
                try:
                    unit = unit_of(value.unit) if value.unit else DIMENSIONLESS
                except UnitError:
                    continue
                return unit if unit in (TIME, DIMENSIONLESS) else None
    return None


def _as_edit(name: str, value: Any, template: Template) -> written.Equation:
    """A keyword argument as the edit `name = value`."""
    formal = next((one for one in template.formals if one.name == name), None)
    first, *rest = name.split(".")
    path: tree.Expression = tree.Name(first)
    for part in rest:
        path = tree.Member(path, part)
    if formal is not None and formal.type == "text" and isinstance(value, str):
        value = tree.Text(value)
    return written.Equation(left=path, right=value)


def ordered_arguments(template: Template, given: Sequence[written.Argument]) -> dict[str, written.Argument]:
    """Arguments by the names of the formals that they bind."""
    names = [formal.name for formal in template.formals]
    return {one.name or (names[place] if place < len(names) else ""): one for place, one in enumerate(given)}
