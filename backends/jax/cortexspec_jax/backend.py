"""The backend's entry point."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

from cortexspec.contracts.backend import CLEAN, Bound, Options, PassStep
from cortexspec.contracts.program import execute
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec_jax.adaptive import SOLVERS
from cortexspec_jax.generate import generate
from cortexspec_jax.simulator import Simulator

LARGE_PRODUCT = 64
"""Terms of a product from which on keeping it beats making it again, in XLA on a processor."""


class Backend:
    """Circuits as pure JAX functions."""

    name: ClassVar[str] = "jax"
    # Sizes of one first, so that what they make of sums, joins and couplings is gone before matrices are made of it. Then the default
    # order, and loops that keep only their carry: running a step again is faster than reading what it kept, unless that makes a
    # large product again (docs/decisions/0020).
    pipeline: ClassVar[tuple[PassStep, ...]] = (
        "sizes-of-one",
        ("batch-populations", {"keep_apart": True}),
        "sigmoid-as-tanh",
        "fold-constants",
        "share-common",
        "settle-rings",
        "batch-connections",
        "squeeze",
        "sum-parts",
        "fold-constants",
        "share-common",
        "extract-linear-part",
        *CLEAN,
        "scale-carries",
        *CLEAN,
        "merge-axes",
        *CLEAN,
        "fuse-contractions",
        *CLEAN,
        "choose-layout",
        "tidy-names",
        ("save-policy", {"save": "carry", "terms": LARGE_PRODUCT}),
    )
    adaptive_solvers: ClassVar[tuple[str, ...]] = tuple(SOLVERS)

    def generate(self, bound: Bound, options: Options) -> str:
        """The program as text. Raises SpecError CS801 where an operation has no lowering, CS700 for `math = exact`."""
        if options.math == "exact":
            raise SpecError([Diagnostic("CS700", "`math = exact` is not supported yet by the backend `jax`")])
        return generate(bound, options)

    def load(self, bound: Bound, options: Options) -> Simulator:
        """Executes the text of `generate` and wraps it."""
        program = self.generate(bound, options)
        return Simulator(bound, program, _executed(program, f"cortexspec jax {bound.module.name}"), options)


@lru_cache(maxsize=32)
def _executed(program: str, name: str) -> dict[str, Any]:
    """One text is one set of functions, so that JAX compiles them once, however many networks they run."""
    return execute(program, name)
