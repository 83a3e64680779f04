"""The program as text: one Python function an IR function, one assignment a line, shape and unit in the margin."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Sequence

from cortexspec.contracts.backend import Bound, Options
from cortexspec.contracts.program import Adjoint, Dialect, Program, adjoint_of, without_autograd
from cortexspec_torch.emit import emit, helpers
from cortexspec_torch.fuse import fuse

LITERALS = {"float": "FLOAT", "int": "torch.int64", "bool": "torch.bool", "bits": "torch.int64"}


def _constants(dtype: str) -> tuple[str, ...]:
    return (f"FLOAT = torch.{dtype}", 'DEVICE = torch.device("cpu")')


def _literal(text: str, dtype: str) -> str:
    return f"torch.tensor({text}, dtype={LITERALS[dtype]}, device=DEVICE)"


# Calls that can write into an array that is there.
_PLACEABLE = (
    *(
        "abs",
        "add",
        "addmm",
        "baddbmm",
        "bmm",
        "ceil",
        "cos",
        "div",
        "exp",
        "expm1",
        "floor",
        "log",
        "log1p",
        "maximum",
    ),
    *("minimum", "mm", "mul", "neg", "pow", "reciprocal", "remainder", "round", "sigmoid", "sign", "sin", "sqrt"),
    *("square", "sub", "tanh", "where"),
)
_CALL = re.compile(rf"torch\.({'|'.join(_PLACEABLE)})\(")
_OPERATOR = re.compile(r"(\S+) ([*+/-]) (\S+)")
_NAMES = {"*": "mul", "+": "add", "-": "sub", "/": "div"}


def into(text: str, place: str) -> str | None:
    """The expression with `out=`: of a chain, the first call makes the array that the others add to."""
    operator = _OPERATOR.fullmatch(text)
    if operator is not None:
        left, sign, right = operator.groups()
        if not left.isidentifier() and sign in "*+":
            left, right = right, left
        return f"torch.{_NAMES[sign]}({left}, {right}, out={place})" if left.isidentifier() else None
    if re.fullmatch(r"-\w+", text):
        return f"torch.neg({text[1:]}, out={place})"
    if not _CALL.match(text):
        return None
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == ")" and depth == 0:
            return f"{text[:i]}, out={place}{text[i:]}"
    return None


def widen(text: str, has: Sequence[bool]) -> str:
    """`x.unsqueeze(1)` costs a third less than `x[:, None]`."""
    if has.count(False) == 1:
        return f"{text}.unsqueeze({has.index(False)})"
    return f"{text}[{', '.join(':' if one else 'None' for one in has)}]"


DIALECT = Dialect(
    name="torch",
    imports=("import numpy as np", "import torch"),
    constants=_constants,
    literal=_literal,
    helpers=dict(inspect.getmembers(helpers, inspect.isfunction)),
    emit=emit,
    into=into,
    widen=widen,
    reserved=("FLOAT", "DEVICE", "FUNCTIONS", "DIFFERENTIABLE", "torch", "np", "range", "reversed"),
)


def generate(bound: Bound, options: Options) -> str:
    """Raises SpecError CS801 where an operation has no lowering."""
    program = Program(bound, DIALECT, options.dtype, records=lambda name: not without_autograd(name))
    adjoints = (
        [] if options.gradient == "native" else [adjoint_of(bound.module, name) for name in bound.module.functions]
    )
    classes = [_autograd_function(program, adjoint) for adjoint in adjoints if adjoint is not None]
    layout = bound.module.layout
    return program.text(
        lambda function: fuse(function, layout, program.records(function.name)),
        extra=[*classes, _table(program, [a.name for a in adjoints if a is not None])],
    )


def _autograd_function(program: Program, adjoint: Adjoint) -> str:
    """The program's own gradient of a function, as torch wants it."""
    name = program.function_name(adjoint.name)
    forward, backward = (program.function_name(f"{adjoint.name}_{part}") for part in ("forward", "backward"))
    # What is neither input nor output is kept by its data alone: as a view of an output it would hold that, and be stale.
    kept = [
        f"inputs[{i}]" if kind == "input" else f"outputs[{i}]" if i < adjoint.outputs else f"results[{i}].data"
        for kind, i in adjoint.kept
    ]
    whole = [f"outputs[{i}]" for i, real in enumerate(adjoint.floats) if not real]
    cotangents = [f"cotangents[{i}]" for i in adjoint.cotangents]
    gradients = [f"gradients[{i}]" if i is not None else "None" for i in adjoint.gradients]
    lines = [
        f"class {name}_ir(torch.autograd.Function):",
        "    @staticmethod",
        "    def forward(ctx, *inputs):",
        f"        results = {forward}(*inputs)",
        f"        outputs = apart(results[:{adjoint.outputs}])",
        *([f"        ctx.mark_non_differentiable({', '.join(whole)})"] if whole else []),
        f"        ctx.save_for_backward({', '.join(kept)})",
        "        return outputs",
        "",
        "    @staticmethod",
        "    @torch.autograd.function.once_differentiable",
        "    def backward(ctx, *cotangents):",
        f"        gradients = {backward}({', '.join(['*ctx.saved_tensors', *cotangents])})",
        f"        return {', '.join(gradients)}{',' if len(gradients) == 1 else ''}",
    ]
    program.helper("apart")
    return "\n".join(lines)


def _table(program: Program, names: list[str]) -> str:
    if not names:
        return ""
    rows = [f"    {json.dumps(name, ensure_ascii=False)}: {program.function_name(name)}_ir.apply," for name in names]
    return "\n".join(["# Functions with a gradient of their own.", "DIFFERENTIABLE = {", *rows, "}"])
