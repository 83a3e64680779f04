"""The program as text: one Python function an IR function, one assignment a line, shape and unit in the margin."""

from __future__ import annotations

import inspect
import json

from cortexspec.contracts.backend import Bound, Options
from cortexspec.contracts.program import Adjoint, Dialect, Program, adjoint_of, without_autograd
from cortexspec_torch.emit import emit, helpers

LITERALS = {"float": "FLOAT", "int": "torch.int64", "bool": "torch.bool", "bits": "torch.int64"}


def _constants(dtype: str) -> tuple[str, ...]:
    return (f"FLOAT = torch.{dtype}", 'DEVICE = torch.device("cpu")')


def _literal(text: str, dtype: str) -> str:
    return f"torch.tensor({text}, dtype={LITERALS[dtype]}, device=DEVICE)"


DIALECT = Dialect(
    name="torch",
    imports=("import numpy as np", "import torch"),
    constants=_constants,
    literal=_literal,
    helpers=dict(inspect.getmembers(helpers, inspect.isfunction)),
    emit=emit,
    reserved=("FLOAT", "DEVICE", "FUNCTIONS", "DIFFERENTIABLE", "torch", "np", "range", "reversed"),
)


def generate(bound: Bound, options: Options) -> str:
    """Raises SpecError CS801 where an operation has no lowering."""
    program = Program(bound, DIALECT, options.dtype, records=lambda name: not without_autograd(name))
    adjoints = [] if options.gradient == "native" else [adjoint_of(bound.module, name) for name in bound.module.functions]
    classes = [_autograd_function(program, adjoint) for adjoint in adjoints if adjoint is not None]
    return program.text(extra=[*classes, _table(program, [a.name for a in adjoints if a is not None])])


def _autograd_function(program: Program, adjoint: Adjoint) -> str:
    """The program's own gradient of a function, as torch wants it."""
    name = program.function_name(adjoint.name)
    forward, backward = (program.function_name(f"{adjoint.name}_{part}") for part in ("forward", "backward"))
    kept = [f"inputs[{i}]" if kind == "input" else f"results[{i}]" for kind, i in adjoint.kept]
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
