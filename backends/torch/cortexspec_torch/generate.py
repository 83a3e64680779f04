"""The program as text: one Python function an IR function, one assignment a line, shape and unit in the margin."""

from __future__ import annotations

import inspect

from cortexspec.contracts.backend import Bound, Options
from cortexspec.contracts.program import Dialect, Program
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
    reserved=("FLOAT", "DEVICE", "FUNCTIONS", "torch", "np", "range", "reversed"),
)


def generate(bound: Bound, options: Options) -> str:
    """Raises SpecError CS801 where an operation has no lowering."""
    return Program(bound, DIALECT, options.dtype).text()
