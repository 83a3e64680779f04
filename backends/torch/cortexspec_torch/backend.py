"""The backend's entry point."""

from __future__ import annotations

from typing import ClassVar

from cortexspec.contracts.backend import CLEAN, Bound, Options, PassStep
from cortexspec.contracts.program import all_lines, execute
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.module import Function
from cortexspec.ir.ops.linear import Conv2d, DepthwiseConv2d, Expm
from cortexspec.ir.ops.scan import Scan
from cortexspec_torch.adaptive import SOLVERS
from cortexspec_torch.generate import generate
from cortexspec_torch.simulator import Simulator

CONVOLUTIONS = (Conv2d, DepthwiseConv2d)


class Backend:
    """Circuits as `torch.nn.Module`."""

    name: ClassVar[str] = "torch"
    pipeline: ClassVar[tuple[PassStep, ...]] = ()
    # Where there are few places, calls are what a training step costs (docs/decisions/0030).
    adjoint_pipeline: ClassVar[tuple[PassStep, ...]] = ("sizes-of-one", *CLEAN, "recurrences", *CLEAN)
    adaptive_solvers: ClassVar[tuple[str, ...]] = tuple(SOLVERS)

    def generate(self, bound: Bound, options: Options) -> str:
        """The program as text. Raises SpecError CS801 where an operation has no lowering, CS700 for `math = exact`."""
        if options.math == "exact":
            raise SpecError([Diagnostic("CS700", "`math = exact` is not supported yet by the backend `torch`")])
        return generate(bound, options)

    def prefers_adjoint(self, function: Function) -> bool:
        """Where there is a loop or the exponential of a matrix, and no convolution (docs/decisions/0030).

        A tape records each operation of each step; the adjoint writes into arrays that are there. Of an exponential the adjoint is that
        of its mathematics. Of a convolution torch gives both gradients in one call, the adjoint needs two.
        """
        operations = [line.op for line in all_lines(function)]
        return any(isinstance(op, Scan | Expm) for op in operations) and not any(
            isinstance(op, CONVOLUTIONS) for op in operations
        )

    def load(self, bound: Bound, options: Options) -> Simulator:
        """Executes the text of `generate` and wraps it."""
        program = self.generate(bound, options)
        return Simulator(bound, program, execute(program, f"cortexspec torch {bound.module.name}"), options)
