"""The program as text: one Python function an IR function, one assignment a line, shape and unit in the margin."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Sequence

from cortexspec.contracts.backend import Bound, Options
from cortexspec.contracts.program import (
    Adjoint,
    Dialect,
    Program,
    Writer,
    adjoint_of,
    require_lowerings,
    without_autograd,
)
from cortexspec.ir.module import Function
from cortexspec.ir.specialise import specialise
from cortexspec_torch.emit import emit, helpers
from cortexspec_torch.fuse import fuse
from cortexspec_torch.starts import starts
from cortexspec_torch.views import fewer_views, split_constants

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
        "addcmul",
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
_BACKWARD = re.compile(r"torch\.ops\.aten\.(\w+_backward)\((.*)\)")
_WHERE = re.compile(r"torch\.where\(\w+, [^\W\d]\w*, [^\W\d]\w*\)")  # no `out=` beside a number
_RELU = re.compile(r"torch\.relu\((\w+)\)")
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
    backward = _BACKWARD.fullmatch(text)
    if backward is not None:
        return f"torch.ops.aten.{backward[1]}.grad_input({backward[2]}, grad_input={place})"
    relu = _RELU.fullmatch(text)
    if relu is not None:  # has no `out=` itself
        return f"torch.clamp_min({relu[1]}, 0, out={place})"
    if re.fullmatch(r"-\w+", text):
        return f"torch.neg({text[1:]}, out={place})"
    if not _CALL.match(text):
        return None
    end = _closing(text, text.index("("))
    if not _all_in_place(text[end + 1 :]) or (text.startswith("torch.where(") and not _WHERE.match(text)):
        return None
    return f"{text[:end]}, out={place}{text[end:]}"


def _closing(text: str, opening: int) -> int:
    """The place of the parenthesis that closes the one at `opening`."""
    depth = 0
    for i in range(opening, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return i
    raise ValueError(text)


def _all_in_place(rest: str) -> bool:
    """Whether what follows a call only adds to the array that it made: `.add_(x).addmm_(a, b)`."""
    while rest:
        method = re.match(r"\.\w+_\(", rest)
        if method is None:
            return False
        rest = rest[_closing(rest, method.end() - 1) + 1 :]
    return True


def widen(text: str, has: Sequence[bool]) -> str:
    """`x.unsqueeze(1)` costs a third less than `x[:, None]`."""
    if has.count(False) == 1:
        return f"{text}.unsqueeze({has.index(False)})"
    return f"{text}[{', '.join(':' if one else 'None' for one in has)}]"


DIALECT = Dialect(
    name="torch",
    imports=(
        "import ctypes",
        "import math",
        "import sys",
        "import threading",
        "import warnings",
        "import numpy as np",
        "import torch",
    ),
    constants=_constants,
    literal=_literal,
    helpers=dict(inspect.getmembers(helpers, inspect.isfunction)),
    emit=emit,
    into=into,
    widen=widen,
    reserved=(
        "FLOAT",
        "DEVICE",
        "FUNCTIONS",
        "DIFFERENTIABLE",
        "torch",
        "math",
        "np",
        "sys",
        "threading",
        "range",
        "reversed",
    ),
)


def generate(bound: Bound, options: Options) -> str:
    """Raises SpecError CS801 where an operation has no lowering."""
    require_lowerings(bound.module.functions.values(), DIALECT)
    program = Program(bound, DIALECT, options.dtype, records=lambda name: not without_autograd(name))
    adjoints = (
        [] if options.gradient == "native" else [adjoint_of(bound.module, name) for name in bound.module.functions]
    )
    classes = [_autograd_function(program, adjoint) for adjoint in adjoints if adjoint is not None]
    layout = bound.module.layout
    constants: list[str] = []

    def prepared(function: Function) -> Function:
        function = fuse(specialise(function, bound.sizes), layout, program.records(function.name))
        function, made = split_constants(fewer_views(function, layout), bound.sizes, program.records(function.name))
        if made is not None:
            program.helper("once")
            program.name_function(made.name)
            constants.append("@once\n" + Writer(program, made, records=False).write())
        return function if program.records(function.name) else starts(function)

    functions = {name: prepared(function) for name, function in bound.module.functions.items()}
    return program.text(
        lambda function: functions[function.name],
        extra=[*constants, *classes, _table(program, [a.name for a in adjoints if a is not None])],
    )


def _autograd_function(program: Program, adjoint: Adjoint) -> str:
    """The program's own gradient of a function, as torch wants it."""
    name = program.function_name(adjoint.name)
    forward, backward = (program.function_name(f"{adjoint.name}_{part}") for part in ("forward", "backward"))
    residuals = [i for kind, i in adjoint.kept if kind != "input"]
    kept = [f"outputs[{i}]" if i < adjoint.outputs else f"results[{i}]" for i in residuals]
    given = [i for kind, i in adjoint.kept if kind == "input"]
    places = {
        key: f"saved[{place}]"
        for place, key in enumerate([*(("input", i) for i in given), *(("result", i) for i in residuals)])
    }
    read = [places[kind, i] for kind, i in adjoint.kept]
    whole = [f"outputs[{i}]" for i, real in enumerate(adjoint.floats) if not real]
    cotangents = [f"cotangents[{i}]" for i in adjoint.cotangents]
    gradients = [f"gradients[{i}]" if i is not None else "None" for i in adjoint.gradients]
    lines = [
        f"class {name}_ir(torch.autograd.Function):",
        "    @staticmethod",
        "    def forward(ctx, *inputs):",
        "        with untracked():",
        f"            results = {forward}(*inputs)",
        f"            outputs = apart(results[:{adjoint.outputs}], (*results[{adjoint.outputs}:], *inputs))",
        *([f"        ctx.mark_non_differentiable({', '.join(whole)})"] if whole else []),
        f"        ctx.save_for_backward({', '.join([*(f'inputs[{i}]' for i in given), *kept])})",
        "        ctx.inputs, ctx.versions = inputs, [x._version for x in inputs]",
        "        return outputs",
        "",
        "    @staticmethod",
        "    def backward(ctx, *cotangents):",
        "        saved = ctx.saved_tensors",
        "        if torch.is_grad_enabled():  # the gradient will be differentiated itself",
        f"            return again({name}, ctx, cotangents)",
        "        with untracked():",
        f"            gradients = {backward}({', '.join([*read, *cotangents])})",
        f"        return {', '.join(gradients)}{',' if len(gradients) == 1 else ''}",
    ]
    program.helper("untracked")
    program.helper("apart")
    program.helper("again")
    return "\n".join(lines)


def _table(program: Program, names: list[str]) -> str:
    if not names:
        return ""
    rows = [f"    {json.dumps(name, ensure_ascii=False)}: {program.function_name(name)}_ir.apply," for name in names]
    return "\n".join(["# Functions with a gradient of their own.", "DIFFERENTIABLE = {", *rows, "}"])
