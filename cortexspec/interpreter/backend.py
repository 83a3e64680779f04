"""The interpreter as a backend: its program is the text of the IR, and it runs exactly that."""

from __future__ import annotations

from typing import ClassVar

from cortexspec.contracts.backend import Bound, Options, PassStep
from cortexspec.interpreter.adaptive import SOLVERS
from cortexspec.interpreter.simulator import Simulator
from cortexspec.ir.parser import parse_module
from cortexspec.ir.printer import print_module


class Backend:
    """The reference: slow, exact about what each operation means, with gradients from `differentiate`."""

    name: ClassVar[str] = "interpreter"
    pipeline: ClassVar[tuple[PassStep, ...]] = ()
    adaptive_solvers: ClassVar[tuple[str, ...]] = tuple(SOLVERS)

    def generate(self, bound: Bound, options: Options) -> str:
        """The module as text."""
        return print_module(bound.module)

    def load(self, bound: Bound, options: Options) -> Simulator:
        """Reads the text of `generate` back and wraps it."""
        program = self.generate(bound, options)
        module = parse_module(program, f"cortexspec interpreter {bound.module.name}")
        return Simulator(Bound(module, bound.sizes, bound.params, bound.buffers), program, options)
