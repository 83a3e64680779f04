"""Random draws made visible, so that they can be compared bit by bit: across backends, across batches, and with one draw removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from cortexspec.ir.builder import Names
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops.random import Draw, Normal
from cortexspec.ir.ops.scan import Scan
from cortexspec.testing.cases import Case

# One draw of each kind: at the start (parameters), at a trial's start (states), at every step, and masks of dropout.
_SPEC = """
neuron leaky {
  input u = 0
  state v ~ normal(0, 1)
  v' = (u - v)/(10 ms)
  output v
}

neuron flipping {
  param p = 0.3
  state x = 0
  x <- bernoulli(p)
  output x
}

neuron counting {
  state n = 0
  n <- poisson(3)
  output n
}

circuit draws {
  population cells[5] : leaky
  population flips[4] : flipping
  population counts[3] : counting
  param W[cells, flips] ~ normal(0, 1)  trainable
  connect flips -> cells { weight = W }
  connect counts -> cells { weight = 0.1 }
  part first : dropout(0.5), second : dropout(0.3)
  output y = SECOND(FIRST(cells.v))
}
"""
_BOTH = _SPEC.replace("SECOND", "second").replace("FIRST", "first")
_WITHOUT_MASK = _SPEC.replace("SECOND(FIRST(cells.v))", "second(cells.v)").replace("first : dropout(0.5), ", "")
_WITHOUT_FLIPS = "\n".join(line for line in _BOTH.splitlines() if "flips" not in line)

DRAWS = Case(
    "draws", _BOTH, "draws", dt=1.0, steps=40, gradient_steps=40, trials=4, training=True, shown=True, seed=2**40 + 5
)
FEWER: Mapping[str, Case] = {
    "without the first mask": replace(DRAWS, spec=_WITHOUT_MASK),
    "without a population": replace(DRAWS, spec=_WITHOUT_FLIPS),
}
BATCHES: Mapping[str, tuple[int, ...]] = {
    "one trial": (4,),
    "another order": (5, 2, 4),
    "a larger batch": tuple(range(9)),
}


def with_draws_shown(function: Function) -> Function:
    """The function with each of its draws among its outputs, as `draw:SITE`; those of a loop have its axis."""
    names = Names.of(function)
    lines, shown = _showing(function.body, names)
    taken: dict[str, int] = {}
    labels: list[str] = []
    for site, _ in shown:
        taken[site] = taken.get(site, 0) + 1
        labels.append(f"draw:{site}" if taken[site] == 1 else f"draw:{site} ({taken[site]})")
    return replace(
        function,
        body=tuple(lines),
        outputs=(*function.outputs, *(value for _, value in shown)),
        output_names=(*function.output_names, *labels),
    )


def _showing(lines: Sequence[Line], names: Names) -> tuple[list[Line], list[tuple[str, Value]]]:
    written: list[Line] = []
    shown: list[tuple[str, Value]] = []
    for line in lines:
        if isinstance(line.op, Draw):
            shown.append((line.op.site, line.result))
        if not isinstance(line.op, Scan):
            written.append(line)
            continue
        scan = line.op
        body, inner = _showing(scan.body.body, names)
        new = [
            (site, Value(names.fresh("draw"), value.type.with_axes((*value.type.axes, scan.over))))
            for site, value in inner
        ]
        inside = tuple(value for _, value in inner)
        carry, stack, total = scan.divide(scan.body.outputs)
        labels = scan.divide(scan.body.output_names)
        function = replace(
            scan.body,
            body=tuple(body),
            outputs=(*carry, *stack, *inside, *total),
            output_names=(*labels[0], *labels[1], *(f"stack:{value.name}" for value in inside), *labels[2]),
        )
        parts = scan.divide(line.results)
        results = (*parts[0], *parts[1], *(value for _, value in new), *parts[2])
        written.append(replace(line, results=results, op=replace(scan, body=function, stack=scan.stack + len(inside))))
        shown += new
    return written, shown


def is_exact(function: Function, output: str) -> bool:
    """Whether a draw has to agree in every bit: all but normals, whose logarithm and cosine are the library's own."""
    site = output.removeprefix("draw:").partition(" (")[0]
    return not any(isinstance(op, Normal) and op.site == site for op in _draws(function.body))


def _draws(lines: Sequence[Line]) -> Iterator[Draw]:
    for line in lines:
        if isinstance(line.op, Draw):
            yield line.op
        elif isinstance(line.op, Scan):
            yield from _draws(line.op.body.body)
