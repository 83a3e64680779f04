"""Say what each loop keeps for its reverse pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from cortexspec.ir.module import Function
from cortexspec.ir.ops.scan import Scan

Save = Literal["carry", "residuals"] | tuple[str, ...]


def save_policy(function: Function, save: Save = "residuals", depth: int | None = None) -> Function:
    """Every loop keeps `save`; with `depth` only loops that stand in so many others (0: the outermost)."""
    lines = list(function.body)
    for place, line in enumerate(lines):
        if isinstance(line.op, Scan):
            body = save_policy(line.op.body, save, None if depth is None else depth - 1)
            own = save if depth in (None, 0) else line.op.save
            lines[place] = replace(line, op=replace(line.op, body=body, save=own))
    return replace(function, body=tuple(lines))
