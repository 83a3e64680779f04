"""Checks what every pass relies on: single assignment, types as the rules give them, bodies that read only their inputs."""

from __future__ import annotations

from collections.abc import Iterator

from cortexspec.diagnostics import Diagnostic, Note, Span, SpecError
from cortexspec.ir.module import IR_VERSION, Function, Line, Module, Value
from cortexspec.ir.op import OPS
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.printer import op_text
from cortexspec.ir.types import RuleError

STEP_FUNCTIONS = ("derivative", "update", "jump", "hold", "level", "fire", "seen", "step", "output")


def check(module: Module, after: str = "", sound: dict[int, Line] | None = None) -> Module:
    """The module itself. Raises SpecError with everything that is wrong; `after` names the pass that ran.

    `sound` remembers lines that obey their rule, by identity: a pass leaves most lines of a module as they are.
    """
    if found := verify(module, sound):
        notes = (Note(f"found after the pass {after}"),) if after else ()
        raise SpecError([Diagnostic(d.code, d.message, d.span, d.label, d.help, (*d.notes, *notes)) for d in found])
    return module


def verify(module: Module, sound: dict[int, Line] | None = None) -> tuple[Diagnostic, ...]:
    """Every mistake in the module. `sound`: see `check`."""
    sound = {} if sound is None else sound
    found = list(_declarations(module))
    for name, function in module.functions.items():
        if name != function.name:
            found.append(_wrong(f"the function {function.name} is entered as {name}"))
        found += _function(function, function.name, set(), sound)
        found += _declared_types(module, function)
    return tuple(found)


def verify_function(function: Function) -> tuple[Diagnostic, ...]:
    """Every mistake in the function and the bodies inside it."""
    return tuple(_function(function, function.name, set(), {}))


def _wrong(message: str, span: Span | None = None, code: str = "CS601") -> Diagnostic:
    return Diagnostic(code, message, span)


def _declarations(module: Module) -> Iterator[Diagnostic]:
    if module.version != IR_VERSION:
        yield _wrong(f"the module has version {module.version} of the IR, not {IR_VERSION}", code="CS604")
    seen: set[str] = set()
    for entry in (*module.params, *module.buffers, *module.states, *module.inputs):
        if entry.value.name in seen:
            yield _wrong(f"{entry.value.name} is declared twice")
        seen.add(entry.value.name)
    if len(set(module.layout.order)) != len(module.layout.order):
        yield _wrong(f"the layout names an axis twice: {', '.join(module.layout.order)}")


def _declared_types(module: Module, function: Function) -> Iterator[Diagnostic]:
    """States have one type in every function of a step."""
    if function.name not in STEP_FUNCTIONS:
        return
    states = {state.value.name: state.value for state in module.states}
    for value in function.inputs:
        if value.name in states and value != states[value.name]:
            declared = states[value.name].type
            yield _wrong(f"{function.name} reads %{value.name} as {value.type}, the state is {declared}")


def _function(function: Function, where: str, assigned: set[str], sound: dict[int, Line]) -> Iterator[Diagnostic]:
    known: dict[str, Value] = {}

    def assign(value: Value, span: Span | None = None) -> Iterator[Diagnostic]:
        if value.name in assigned:
            yield _wrong(f"%{value.name} is assigned twice in {where}", span)
        assigned.add(value.name)
        known[value.name] = value

    for value in function.inputs:
        yield from assign(value)
    for line in function.body:
        if any(known.get(operand.name) != operand for operand in line.operands):
            for operand in line.operands:
                yield from _read(operand, known, _what(line, where), line.span)
        if id(line) not in sound:
            mistakes = tuple(_line(line, where))
            yield from mistakes
            if not mistakes:
                sound[id(line)] = line
        if isinstance(line.op, Scan):
            yield from _function(line.op.body, f"{where}, loop {line.op.body.name}", assigned, sound)
        for value in line.results:
            yield from assign(value, line.span)
    for value in function.outputs:
        yield from _read(value, known, f"an output of {where}", None)
    if len(function.output_names) != len(function.outputs):
        yield _wrong(f"{where} has {len(function.outputs)} outputs and {len(function.output_names)} names for them")
    if not where.partition(",")[2] and len(set(function.output_names)) != len(function.output_names):
        twice = next(name for name in function.output_names if function.output_names.count(name) > 1)
        yield _wrong(f"two outputs of {where} are called {twice}")


def _read(value: Value, known: dict[str, Value], what: str, span: Span | None) -> Iterator[Diagnostic]:
    if value.name not in known:
        yield _wrong(f"{what} reads %{value.name}, which is not assigned before", span)
    elif known[value.name] != value:
        yield _wrong(f"{what} reads %{value.name} as {value.type}, it is {known[value.name].type}", span)


def _what(line: Line, where: str) -> str:
    return f"{', '.join(map(str, line.results))} = {line.op.name} in {where}"


def _line(line: Line, where: str) -> Iterator[Diagnostic]:
    """What is wrong with the line alone."""
    what = _what(line, where)
    if OPS.get(line.op.name) is not type(line.op):
        yield _wrong(f"{what}: no such operation is registered", line.span)
        return
    try:
        wanted = line.op.rule(*(operand.type for operand in line.operands))
    except RuleError as error:
        yield _wrong(f"{what}: {error.message}", line.span)
        return
    except (TypeError, ValueError) as error:
        yield _wrong(f"{what}: {op_text(line.op)} does not take {len(line.operands)} operands ({error})", line.span)
        return
    found = tuple(value.type for value in line.results)
    if len(found) != len(wanted):
        yield _wrong(f"{what} has {len(found)} results, its rule gives {len(wanted)}", line.span)
    for value, type_ in zip(line.results, wanted, strict=False):
        if value.type != type_:
            yield _wrong(f"{what}: %{value.name} is {value.type}, its rule gives {type_}", line.span)
