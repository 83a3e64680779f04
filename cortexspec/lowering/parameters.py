"""Start values, and the ways between what is trained (raw) and what the equations read (natural)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cortexspec.analysis.model import Variable
from cortexspec.contracts.operand import Operand
from cortexspec.contracts.translate import fit, translate
from cortexspec.ir.module import Function, Param, Value
from cortexspec.ir.ops import write
from cortexspec.ir.types import RuleError
from cortexspec.lowering import entries
from cortexspec.lowering.frame import Frame, Here, Plan, Unwritten, guarded, written_axes


def start(plan: Plan) -> Function:
    """Natural parameters and buffers, drawn where they are drawn. Inputs: `seed`, and the edges of drawn wiring."""
    frame = Frame(plan, "start")
    outputs: dict[str, Value] = {}
    drawn = [path for path, buffer in plan.declared.buffers.items() if buffer.source == "start"]
    for path in (*plan.declared.params, *drawn):
        with guarded():
            wanted = plan.model.variables[path].type
            operand = frame.read(path)
            missing = [axis for axis in wanted.axes if not operand.type.has(axis.name)]
            outputs[path] = write.expand(frame.build, operand.value, missing)
    return frame.function("start", outputs)


def constrain(plan: Plan) -> Function:
    """Raw to natural, each parameter under its own name."""
    return _each(plan, "constrain", lambda param: param.value, constrained)


def unconstrain(plan: Plan) -> Function:
    """Natural to raw."""
    return _each(plan, "unconstrain", lambda param: Value(param.value.name, param.natural), unconstrained)


def project(plan: Plan) -> Function | None:
    """Raw to raw after an optimiser's step: parameters with a projected constraint. None where there are none."""
    frame = Frame(plan, "penalty")
    outputs: dict[str, Value] = {}
    for path, param in plan.declared.params.items():
        if path in plan.declared.constraints and not param.reparametrised:
            with guarded():
                outputs[path] = projected(frame, path, frame.input(param.value))
    return frame.function("project", outputs) if outputs else None


def _each(
    plan: Plan, name: str, given: Callable[[Param], Value], change: Callable[[Frame, str, Value], Value]
) -> Function:
    frame = Frame(plan, "penalty")
    outputs: dict[str, Value] = {}
    for path, param in plan.declared.params.items():
        with guarded():
            value = frame.input(given(param))
            outputs[path] = change(frame, path, value) if param.reparametrised else value
    return frame.function(name, outputs)


def constrained(frame: Frame, path: str, raw: Value) -> Value:
    """The natural value of a reparametrised parameter. Raises: Unwritten."""
    return _apply(frame, path, raw, "constrain")


def unconstrained(frame: Frame, path: str, natural: Value) -> Value:
    return _apply(frame, path, natural, "unconstrain")


def projected(frame: Frame, path: str, raw: Value) -> Value:
    return _apply(frame, path, raw, "project")


def _apply(frame: Frame, path: str, value: Value, way: str) -> Value:
    constraint, param = frame.declared.constraints[path], frame.declared.params[path]
    entry = entries.constraints(frame.model).get(constraint.name)
    change = getattr(entry, way) if entry is not None else None
    if change is None:
        raise frame.stop("CS301", f"there is no constraint `{constraint.name}`", param.span)
    try:
        settings: Mapping[str, Any] = {"by": constraint.by, "unit": param.natural.unit, **_bounds(frame, path)}
        return change(frame.build, value, settings)
    except RuleError as error:
        raise frame.stop(error.code, error.message, param.span, label=error.label, help=error.help) from None


def _bounds(frame: Frame, path: str) -> dict[str, Any]:
    """The positional arguments of a constraint, low and high."""
    variable = frame.model.variables[path]
    bounds: dict[str, Any] = {}
    for name, expression in zip(("low", "high"), frame.declared.constraints[path].arguments, strict=False):
        operand = translate(expression, Here(frame, variable.around, variable), frame.build)
        if operand is None:
            raise Unwritten
        bounds[name] = _along(frame, variable, operand) if operand.axes else operand
    return bounds


def _along(frame: Frame, variable: Variable, operand: Operand) -> Operand:
    """An argument with axes, along those of the parameter. Raises: RuleError."""
    own = [name for name in written_axes(variable) if name not in variable.around]
    return fit(frame.build, operand, variable.type.with_unit(operand.type.unit), own)
